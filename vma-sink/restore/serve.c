/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of an archive over NBD: starts nbdkit with our plugin, and becomes
 * it, so that signals, the exit code and what it prints are nbdkit's own.
 */
#include "restore/restore.h"

#include <errno.h>
#include <unistd.h>

#include "backup/error.h"
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
    g_autoptr(RestoreArchive) archive = restore_archive_new(o->archive, error);

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

bool restore_serve(const RestoreServe *o, GError **error)
{
    g_autoptr(GPtrArray) argv = NULL;
    g_autoptr(Confine) confine = NULL;

    if (g_str_equal(o->archive, "-")) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "standard input can't be served, only a file");
        return false;
    }
    /* Here nothing is read of it: this process is going to run a program. */
    confine = restore_confine_new(o->archive);
    if (!confine_try(confine, check, (void *)o, error)) {
        return false;
    }
    argv = make_arguments(o);
    io_release_signals();
    execvp("nbdkit", (char **)argv->pdata);
    backup_error_set_errno(error, errno, errno == ENOENT
                           ? "cannot start nbdkit (Debian's package nbdkit has "
                             "it)" : "cannot start nbdkit");
    return false;
}
