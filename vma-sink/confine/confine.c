/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The three ways together; what each of them is stands in its own file.
 */
#include "confine/confine.h"

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "backup/error.h"
#include "confine/landlock.h"
#include "confine/seccomp.h"
#include "io/commit.h"

struct Confine {
    int rules_fd;               /* of Landlock; -1: not used */
    int errnum;                 /* why that or a rule is missing; 0: none is */
};

gboolean confine_wanted = TRUE;
static bool is_confined;

/* The sanitizers and gcov open files when the program ends. */
static const char *landlock_missing(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(CONFINE_INSTRUMENTED)
    return "not in a build with sanitizers or for coverage";
#else
    return confine_landlock_missing();
#endif
}

/* What the libraries and messages open at any time. */
static void add_common(Confine *confine)
{
    confine_may_read(confine, "/dev/urandom");
    confine_may_read(confine, "/sys/devices/system/cpu/online");
    /* They mark temporary files (io/stale.c). */
    confine_may_read(confine, "/proc/sys/kernel/random/boot_id");
    confine_may_read(confine, "/etc/machine-id");
    confine_may_write(confine, "/dev/null");
    if (isatty(STDERR_FILENO)) {
        /* It is locked for the bar (cli/progress.c). */
        confine_may_read(confine, "/proc/self/fd/2");
    }
}

Confine *confine_new(void)
{
    Confine *confine = g_new0(Confine, 1);

    confine->rules_fd = -1;
    if (confine_wanted && !landlock_missing()) {
        confine->rules_fd = confine_landlock_new();
        confine->errnum = confine->rules_fd < 0 ? errno : 0;
    }
    add_common(confine);
    return confine;
}

void confine_free(Confine *confine)
{
    if (confine) {
        if (confine->rules_fd >= 0) {
            close(confine->rules_fd);
        }
        g_free(confine);
    }
}

static void add(Confine *confine, const char *path, ConfineAccess access)
{
    if (confine->rules_fd >= 0 &&
        !confine_landlock_add(confine->rules_fd, path, access)) {
        confine->errnum = errno;
    }
}

void confine_may_read(Confine *confine, const char *path)
{
    add(confine, path, CONFINE_READ);
}

void confine_may_write(Confine *confine, const char *path)
{
    add(confine, path, CONFINE_WRITE);
}

void confine_may_change(Confine *confine, const char *folder)
{
    add(confine, folder, CONFINE_CHANGE);
}

/* To the folder that PATH is in. */
static void add_parent(Confine *confine, const char *path, ConfineAccess access)
{
    g_autofree char *name = io_strip_slashes(path);
    g_autofree char *folder = g_path_get_dirname(name);

    add(confine, folder, access);
}

void confine_may_create(Confine *confine, const char *path)
{
    add_parent(confine, path, CONFINE_CHANGE);
}

void confine_may_rename(Confine *confine, const char *path)
{
    add_parent(confine, path, CONFINE_RENAME_FILES);
}

void confine_may_rename_folder(Confine *confine, const char *path)
{
    add_parent(confine, path, CONFINE_RENAME_FOLDERS);
}

void confine_may_remove(Confine *confine, const char *folder)
{
    add(confine, folder, CONFINE_REMOVE_FILES);
    /* And so may what is empty beside it. */
    add_parent(confine, folder, CONFINE_REMOVE_FOLDERS);
}

/*
 * What libraries look up when it is first needed, and have from then on: the
 * time zone, and the converter of a locale that is not UTF-8, which is kept
 * loaded for messages.
 */
static void preload(void)
{
    /* Where one who looks for leaks finds them. */
    static volatile GIConv kept[2] G_GNUC_UNUSED;
    const char *charset;

    g_time_zone_unref(g_time_zone_new_local());
    if (!g_get_charset(&charset)) {
        kept[0] = g_iconv_open("UTF-8", charset);
        kept[1] = g_iconv_open(charset, "UTF-8");
    }
}

static bool set_refused(const char *what, GError **error)
{
    backup_error_set_errno(error, errno, "cannot confine itself, by %s "
                           "(--no-confine goes without)", what);
    return false;
}

bool confine_enter(const Confine *confine, ConfineKind kind, GError **error)
{
    if (!confine_wanted) {
        return true;
    }
    if (confine->errnum) {
        /* Without a rule a backup would fail in the end. */
        errno = confine->errnum;
        return set_refused("landlock", error);
    }
    preload();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return set_refused("no new privileges", error);
    }
    if (!landlock_missing() && !confine_landlock_enter(confine->rules_fd)) {
        return set_refused("landlock", error);
    }
    if (!confine_seccomp_missing() && !confine_seccomp_enter(kind)) {
        return set_refused("seccomp", error);
    }
    is_confined = true;
    return true;
}

static char *describe_seccomp(void)
{
    const char *missing = confine_seccomp_missing();

    return missing ? g_strdup_printf("seccomp no (%s)", missing)
                   : g_strdup("seccomp yes");
}

/* By its version it is known what it looks at. */
static char *describe_landlock(void)
{
    const char *missing = landlock_missing();

    return missing ? g_strdup_printf("landlock no (%s)", missing)
                   : g_strdup_printf("landlock yes (ABI %d)",
                                     confine_landlock_version());
}

char *confine_describe(void)
{
    g_autofree char *seccomp = NULL;
    g_autofree char *landlock = NULL;

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    seccomp = describe_seccomp();
    landlock = describe_landlock();
    return g_strdup_printf("%s; %s", seccomp, landlock);
}

/* Nobody says who it was that denied something, but for EPERM there are few. */
void confine_explain(GError *error)
{
    g_autofree char *message = NULL;

    if (error && is_confined && strstr(error->message, g_strerror(EPERM))) {
        message = error->message;
        error->message = g_strdup_printf("%s (if that is because the program "
                                         "confines itself, --no-confine goes "
                                         "without)", message);
    }
}
