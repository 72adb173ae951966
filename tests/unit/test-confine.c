/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Children that are confined: their verdicts, and what they can open.  Each test
 * confines a child, and never this process.
 */
#include <errno.h>
#include <fcntl.h>
#ifdef HAVE_LIBSECCOMP
#include <seccomp.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/error.h"
#include "confine/confine.h"
#include "util.h"

static bool in_child(ConfineFunc *func, void *opaque, GError **error)
{
    g_autoptr(Confine) confine = confine_new();

    return confine_try(confine, func, opaque, error);
}

static bool is_good(void *opaque, GError **error)
{
    (void)opaque;
    (void)error;
    return true;
}

static void test_good(void)
{
    GError *error = NULL;

    g_assert_true(in_child(is_good, NULL, &error));
    g_assert_no_error(error);
}

static bool is_incomplete(void *opaque, GError **error)
{
    backup_error_set_incomplete(error, "%s", (const char *)opaque);
    return false;
}

static void test_error(void)
{
    g_autofree char *text = g_strdup("it is cut");
    g_autofree char *longer = g_strnfill(100000, 'x');
    GError *error = NULL;

    g_assert_false(in_child(is_incomplete, text, &error));
    assert_kind(error, BACKUP_ERROR_INCOMPLETE);
    g_assert_cmpstr(error->message, ==, text);
    g_clear_error(&error);

    g_assert_false(in_child(is_incomplete, longer, &error));
    assert_kind(error, BACKUP_ERROR_INCOMPLETE);
    g_assert_true(g_str_has_prefix(longer, error->message));
    g_assert_cmpuint(strlen(error->message), >, 1000);
    g_clear_error(&error);
}

static bool dies(void *opaque, GError **error)
{
    (void)opaque;
    (void)error;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return true;
}

static bool leaves(void *opaque, GError **error)
{
    (void)opaque;
    (void)error;
    _exit(0);
}

static void test_no_verdict(void)
{
    GError *error = NULL;

    g_assert_false(in_child(dies, NULL, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_clear_error(&error);
    g_assert_false(in_child(leaves, NULL, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_clear_error(&error);
}

static bool opens(void *opaque, GError **error)
{
    if (open(opaque, O_RDONLY) < 0) {
        backup_error_set_errno(error, errno, "cannot open");
        return false;
    }
    return true;
}

static bool creates(void *opaque, GError **error)
{
    g_autofree char *path = g_build_filename(opaque, "new", NULL);
    g_autofree char *other = g_strconcat(path, "er", NULL);

    if (open(path, O_WRONLY | O_CREAT | O_EXCL, 0600) < 0 ||
        rename(path, other) < 0 || unlink(other) < 0) {
        backup_error_set_errno(error, errno, "cannot create");
        return false;
    }
    return true;
}

static bool has(const char *what)
{
    g_autofree char *text = confine_describe();

    return strstr(text, what) != NULL;
}

static void test_files(void)
{
    g_autofree char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "file", NULL);
    g_autofree char *inside = g_build_filename(folder, "a/", NULL);
    g_autoptr(Confine) none = confine_new();
    g_autoptr(Confine) file = confine_new();
    g_autoptr(Confine) all = confine_new();
    GError *error = NULL;

    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    confine_may_read(file, path);
    confine_may_read(file, "/no/such/file");
    confine_may_create(all, inside);

    g_assert_true(confine_try(file, opens, path, &error));
    g_assert_true(confine_try(all, opens, path, &error));
    g_assert_true(confine_try(all, creates, folder, &error));
    g_assert_no_error(error);
    if (has("landlock yes")) {
        g_assert_false(confine_try(none, opens, path, &error));
        g_clear_error(&error);
        g_assert_false(confine_try(file, creates, folder, &error));
        g_clear_error(&error);
    } else {
        g_test_skip("no Landlock: nothing is denied");
    }
    g_assert_cmpint(remove_folder(folder), ==, 1);
}

/* A new name for a file, in its folder or another one. */
static bool renames(const char *from, const char *to, GError **error)
{
    if (rename(from, to) < 0) {
        backup_error_set_errno(error, errno, "cannot rename");
        return false;
    }
    return true;
}

/* In the folder a file and a folder, "file" and "folder". */
static bool renames_file(void *opaque, GError **error)
{
    g_autofree char *from = g_build_filename(opaque, "file", NULL);
    g_autofree char *to = g_build_filename(opaque, "other", NULL);

    return renames(from, to, error) && renames(to, from, error);
}

static bool replaces_file(void *opaque, GError **error)
{
    g_autofree char *from = g_build_filename(opaque, "other", NULL);
    g_autofree char *to = g_build_filename(opaque, "file", NULL);

    return renames(from, to, error);
}

static bool renames_folder(void *opaque, GError **error)
{
    g_autofree char *from = g_build_filename(opaque, "folder", NULL);
    g_autofree char *to = g_build_filename(opaque, "other-folder", NULL);

    return renames(from, to, error) && renames(to, from, error);
}

static bool moves_file(void *opaque, GError **error)
{
    g_autofree char *from = g_build_filename(opaque, "file", NULL);
    g_autofree char *to = g_build_filename(opaque, "folder", "file", NULL);

    return renames(from, to, error) && renames(to, from, error);
}

static bool opens_file(void *opaque, GError **error)
{
    g_autofree char *path = g_build_filename(opaque, "file", NULL);

    return opens(path, error);
}

static bool writes_file(void *opaque, GError **error)
{
    g_autofree char *path = g_build_filename(opaque, "file", NULL);

    if (open(path, O_WRONLY) < 0) {
        backup_error_set_errno(error, errno, "cannot open");
        return false;
    }
    return true;
}

static void assert_denied(const Confine *confine, ConfineFunc *func,
                          char *folder)
{
    GError *error = NULL;

    g_assert_false(confine_try(confine, func, folder, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_clear_error(&error);
}

static void test_rename(void)
{
    g_autofree char *folder = make_folder();
    g_autofree char *file = g_build_filename(folder, "file", NULL);
    g_autofree char *other = g_build_filename(folder, "other", NULL);
    g_autofree char *below = g_build_filename(folder, "folder", NULL);
    g_autofree char *below_slash = g_strconcat(below, "/", NULL);
    g_autoptr(Confine) files = confine_new();
    g_autoptr(Confine) folders = confine_new();
    GError *error = NULL;

    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    g_assert_true(g_file_set_contents(other, "y", 1, NULL));
    g_assert_cmpint(mkdir(below, 0700), ==, 0);
    confine_may_rename(files, file);
    confine_may_rename_folder(folders, below_slash);

    if (has("landlock yes")) {
        assert_denied(files, opens_file, folder);
        assert_denied(files, opens, folder);
        assert_denied(files, writes_file, folder);
        assert_denied(files, creates, folder);
        assert_denied(files, moves_file, folder);
        assert_denied(files, renames_folder, folder);
        assert_denied(folders, opens_file, folder);
        assert_denied(folders, writes_file, folder);
        assert_denied(folders, creates, folder);
        assert_denied(folders, renames_file, folder);
    }
    g_assert_true(confine_try(folders, renames_folder, folder, &error));
    g_assert_no_error(error);
    g_assert_true(confine_try(files, replaces_file, folder, &error));
    g_assert_no_error(error);
    g_assert_true(confine_try(files, renames_file, folder, &error));
    g_assert_no_error(error);
    g_assert_cmpint(rmdir(below), ==, 0);
    remove_folder(folder);
}

static bool connects(void *opaque, GError **error)
{
    (void)opaque;
    if (socket(AF_INET, SOCK_STREAM, 0) < 0) {
        backup_error_set_errno(error, errno, "cannot connect");
        return false;
    }
    return true;
}

static void test_calls(void)
{
    GError *error = NULL;

    if (!has("seccomp yes")) {
        g_test_skip("no seccomp");
        return;
    }
    g_assert_false(in_child(connects, NULL, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, g_strerror(EPERM)));
    g_clear_error(&error);

    confine_wanted = FALSE;
    g_assert_true(in_child(connects, NULL, &error));
    g_assert_no_error(error);
    confine_wanted = TRUE;
}

#ifdef HAVE_LIBSECCOMP

/* From now on this process must not make that call. */
static void deny(const char *call)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    g_assert_cmpint(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
                                     seccomp_syscall_resolve_name(call), 0),
                    ==, 0);
    g_assert_cmpint(seccomp_load(filter), ==, 0);
    seccomp_release(filter);
}

/* Ends a child: 0 if it is confined as far as it may be, and says how far. */
static void enter_without(const char *call, char *path)
{
    g_autoptr(Confine) confine = NULL;
    bool right;

    deny(call);
    confine = confine_new();
    right = has("landlock no (the system permits only a part of it)") &&
            confine_enter(confine, CONFINE_PROGRAM, NULL) &&
            opens(path, NULL) && !connects(NULL, NULL);
    _exit(right ? 0 : 1);
}

/* Some containers permit to ask for Landlock's version and nothing else. */
static void test_part(void)
{
    static const char *const calls[] = {
        "landlock_add_rule", "landlock_restrict_self",
    };
    g_autofree char *folder = make_folder();
    int status;

    if (!has("seccomp yes; landlock yes")) {
        g_test_skip("no Landlock, or no seccomp");
        remove_folder(folder);
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++) {
        pid_t pid = fork();

        if (pid == 0) {
            enter_without(calls[i], folder);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0);
    }
    remove_folder(folder);
}

#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/confine/good-is-good", test_good);
    g_test_add_func("/confine/error-keeps-kind-and-text", test_error);
    g_test_add_func("/confine/no-verdict-is-error", test_no_verdict);
    g_test_add_func("/confine/files-that-are-named", test_files);
    g_test_add_func("/confine/rename-and-no-more", test_rename);
    g_test_add_func("/confine/calls-and-the-way-out", test_calls);
#ifdef HAVE_LIBSECCOMP
    g_test_add_func("/confine/a-part-of-landlock-is-none", test_part);
#endif
    return g_test_run();
}
