/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of an archive over NBD, by nbdkit with our plugin.  With a command
 * this process becomes nbdkit, so that signals, the exit code and what it
 * prints are nbdkit's own.  With a socket nbdkit is its child, and ends with
 * it, for nbdkit leaves its socket behind, which is removed here.
 */
#include "restore/restore.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "confine/confine.h"
#include "io/io.h"
#include "restore/archive.h"
#include "restore/confine.h"
#include "restore/disks.h"

#define PLUGIN_FILE "nbdkit-vma-plugin.so"

/*
 * What the plugin can refuse as well, once more: the header alone is read for
 * it, and errors get the exit codes of this program.
 */
static bool check(void *opaque, GError **error)
{
    const RestoreServe *o = opaque;
    g_autoptr(RestoreArchive) archive = NULL;

    /* The plugin says the same. */
    cli_mute_notes();
    archive = restore_archive_new(o->archive, error);
    return archive &&
           (!o->disk || restore_disks_find(restore_archive_info(archive),
                                           o->disk, error));
}

/* Of the environment; beside this program, where it was built; or nbdkit's. */
static char *find_plugin(void)
{
    const char *given = g_getenv("VMA_NBDKIT_PLUGIN");
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = program ? g_path_get_dirname(program) : NULL;
    g_autofree char *beside = folder
        ? g_build_filename(folder, PLUGIN_FILE, NULL) : NULL;

    if (given && *given) {
        return g_strdup(given);
    }
    return beside && access(beside, R_OK) == 0 ? g_steal_pointer(&beside)
                                               : g_strdup("vma");
}

static GPtrArray *make_arguments(const RestoreServe *o)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup("nbdkit"));
    g_ptr_array_add(argv, g_strdup("--foreground"));
    g_ptr_array_add(argv, g_strdup("--readonly"));
    g_ptr_array_add(argv, g_strdup("--unix"));
    g_ptr_array_add(argv, g_strdup(o->socket ? o->socket : "-"));
    if (o->command) {
        g_ptr_array_add(argv, g_strdup("--run"));
        g_ptr_array_add(argv, g_strdup(o->command));
    } else {
        g_ptr_array_add(argv, g_strdup("--exit-with-parent"));
    }
    g_ptr_array_add(argv, find_plugin());
    g_ptr_array_add(argv, g_strdup_printf("file=%s", o->archive));
    if (o->disk) {
        g_ptr_array_add(argv, g_strdup_printf("device=%s", o->disk));
    }
    if (o->cache_size) {
        g_ptr_array_add(argv, g_strdup_printf("cache-size=%s", o->cache_size));
    }
    if (!confine_wanted) {
        g_ptr_array_add(argv, g_strdup("confine=no"));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* What can't be opened is left to who opens it; a pipe would wait for that. */
static bool check_is_file(const char *archive, GError **error)
{
    bool is_stdin = strcmp(archive, "-") == 0;
    struct stat st;

    if (is_stdin || (stat(archive, &st) == 0 && !S_ISREG(st.st_mode))) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "%s%s%s can't be served, only a file", is_stdin ? "" : "'",
                    is_stdin ? "standard input" : archive, is_stdin ? "" : "'");
        return false;
    }
    return true;
}

/* Whether nobody listens at the socket, so that it is only in the way. */
static bool is_left_over(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat st;
    bool refused;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path) || lstat(path, &st) < 0 ||
        !S_ISSOCK(st.st_mode)) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    refused = connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
              errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static void remove_left_over(const char *path)
{
    if (is_left_over(path)) {
        (void)unlink(path);
    }
}

/* --- nbdkit --- */

static bool set_not_started(GError **error, int number)
{
    backup_error_set_errno(error, number, number == ENOENT
                           ? "cannot start nbdkit (Debian's package nbdkit has "
                             "it)" : "cannot start nbdkit");
    return false;
}

/* GSpawnChildSetupFunc */
static void set_up_child(gpointer unused)
{
    (void)unused;
    io_release_signals();
}

/* As nbdkit has ended, and has said why. */
static G_NORETURN void end_as(int status)
{
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : BACKUP_ERROR_FAILED);
}

/* Returns only if it could not be started. */
static bool run_with_socket(char **argv, const char *path, GError **error)
{
    g_autoptr(GError) wrong = NULL;
    GSpawnFlags flags = G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                        G_SPAWN_CHILD_INHERITS_STDIN |
                        G_SPAWN_LEAVE_DESCRIPTORS_OPEN;
    bool told = false;
    int status = -1;            /* of no end that there is */
    GPid pid;

    if (!g_spawn_async(NULL, argv, NULL, flags, set_up_child, NULL, &pid,
                       &wrong)) {
        return set_not_started(error, wrong->code == G_SPAWN_ERROR_NOENT
                                      ? ENOENT : EIO);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        if (!told && io_interrupted(NULL)) {
            told = true;
            kill(pid, SIGTERM);
        }
    }
    remove_left_over(path);
    end_as(status);
}

bool restore_serve(const RestoreServe *o, GError **error)
{
    g_autoptr(GPtrArray) argv = NULL;
    g_autoptr(Confine) confine = NULL;

    if (!check_is_file(o->archive, error)) {
        return false;
    }
    /* First of all: who waits for the socket may not see the old one. */
    if (o->socket) {
        remove_left_over(o->socket);
    }
    /* Here nothing is read of it: this process is going to run a program. */
    confine = restore_confine_new(o->archive);
    if (!confine_try(confine, check, (void *)o, error)) {
        return false;
    }
    argv = make_arguments(o);
    if (o->socket) {
        return run_with_socket((char **)argv->pdata, o->socket, error);
    }
    io_release_signals();
    execvp("nbdkit", (char **)argv->pdata);
    return set_not_started(error, errno);
}
