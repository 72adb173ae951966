/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin for nbdkit: the disks of an archive as NBD exports, read-only.
 *
 * nbdkit calls from many threads at once, so everything here is set before the
 * first client comes, and the reading is the pool's.
 *
 * After get_ready nbdkit opens its sockets, changes its user, starts a command
 * (--run) and forks.  Only then, in after_fork, can it be confined, and the
 * archive be read; but a bad one is to be refused at once.  So get_ready has a
 * child read it as well, which is confined from the start, and of which nothing
 * but its word is used.  The file is opened in get_ready, once and for all.
 *
 * Signals are nbdkit's; io_catch_signals() is not called, and without it nothing
 * of io/ is interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "confine/confine.h"
#include "restore/disks.h"
#include "restore/pool.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define CACHE_BYTES (UINT64_C(128) << 20)
#define EXPORT_NAME_MAX_BYTES 4096u

/* Of nbdkit, before its first client comes, at the most. */
#define DESCRIPTORS 256

/* Set before the first client comes, never changed then. */
static char *path;
static char *default_name;              /* NULL: not given */
static uint64_t cache_bytes = CACHE_BYTES;
static int archive_fd = -1;
static RestorePool *pool;
static const BackupDevice *default_device;      /* NULL: there is none */

/* A client's handle is the device. */
static const BackupDevice *device_of(void *handle)
{
    return handle;
}

/*
 * nbdkit 1.32.4 and 1.32.5 (Debian 12) end by a failed assertion, for all
 * clients, when one goes away with several requests under way; 1.34.0 does not.
 * A version can't be asked for, but this function came with 1.34.0 as well.
 * With older ones a connection has one request under way, which is enough:
 * there is no second thread that can find its socket closed.
 */
extern void nbdkit_disconnect(int force) __attribute__((weak));

static int vma_thread_model(void)
{
    return nbdkit_disconnect ? NBDKIT_THREAD_MODEL_PARALLEL
                             : NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS;
}

/* Tells and frees ERROR.  Names in it may come from anywhere. */
static int fail(GError *error, int number)
{
    g_autofree char *message = cli_printable(error->message);

    nbdkit_error("%s", message);
    nbdkit_set_error(number);
    g_error_free(error);
    return -1;
}

/* --- Start and end --- */

static void vma_load(void)
{
    /* Some messages say what to do with it instead. */
    g_set_prgname("vma-restore");
}

static void vma_unload(void)
{
    restore_pool_free(pool);
    if (archive_fd >= 0) {
        close(archive_fd);
    }
    g_free(default_name);
    free(path);
}

static int vma_config(const char *key, const char *value)
{
    if (strcmp(key, "file") == 0) {
        free(path);
        path = nbdkit_realpath(value);
        return path ? 0 : -1;
    }
    if (strcmp(key, "device") == 0) {
        g_free(default_name);
        default_name = g_strdup(value);
        return 0;
    }
    if (strcmp(key, "cache-size") == 0) {
        int64_t bytes = nbdkit_parse_size(value);

        cache_bytes = MAX(bytes, 0);
        return bytes < 0 ? -1 : 0;
    }
    if (strcmp(key, "confine") == 0) {
        int wanted = nbdkit_parse_bool(value);

        confine_wanted = wanted;
        return wanted < 0 ? -1 : 0;
    }
    nbdkit_error("unknown parameter '%s'", key);
    return -1;
}

static int vma_config_complete(void)
{
    if (!path) {
        nbdkit_error("no archive given (file=ARCHIVE)");
        return -1;
    }
    return 0;
}

/* The one that was asked for, or the only one. */
static bool choose_default(GError **error)
{
    GPtrArray *devices = restore_pool_info(pool)->devices;

    if (default_name) {
        default_device = restore_disks_find(restore_pool_info(pool),
                                            default_name, error);
        return default_device != NULL;
    }
    default_device = devices->len == 1 ? g_ptr_array_index(devices, 0) : NULL;
    return true;
}

/* ConfineFunc: takes the file. */
static bool load(void *opaque, GError **error)
{
    (void)opaque;
    pool = restore_pool_new_fd(archive_fd, path, cache_bytes, error);
    archive_fd = -1;
    return pool && choose_default(error);
}

/* A pipe that nobody writes would be waited for. */
static bool open_archive(GError **error)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' can't be served, only a file", path);
        return false;
    }
    archive_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (archive_fd < 0) {
        backup_error_set_errno(error, errno, "'%s': cannot open", path);
    }
    return archive_fd >= 0;
}

static int vma_get_ready(void)
{
    g_autoptr(Confine) confine = confine_new();
    GError *error = NULL;

    if (open_archive(&error)) {
        (void)confine_try(confine, load, NULL, &error);
    }
    return error ? fail(error, EINVAL) : 0;
}

/*
 * The folder of a socket that nbdkit has chosen itself (-U -): it removes both
 * when it ends.  It does not say where they are, so its descriptors are asked.
 */
static void allow_removal(Confine *confine)
{
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        struct sockaddr_un address = { 0 };
        socklen_t bytes = sizeof(address) - 1;
        g_autofree char *folder = NULL;
        g_autofree char *name = NULL;

        if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0 ||
            address.sun_family != AF_UNIX || address.sun_path[0] != '/') {
            continue;
        }
        folder = g_path_get_dirname(address.sun_path);
        name = g_path_get_basename(folder);
        if (g_str_has_prefix(name, "nbdkit")) {
            confine_may_remove(confine, folder);
        }
    }
}

/*
 * nbdkit may read more, certificates for instance, but writes nothing now.  In
 * the background it tells what goes wrong to the system's log, and libc connects
 * to that with the first message, if not now.
 */
static int vma_after_fork(void)
{
    g_autoptr(Confine) confine = confine_new();
    GError *error = NULL;

    confine_may_read(confine, "/");
    allow_removal(confine);
    if (confine_wanted) {
        openlog(NULL, LOG_PID | LOG_NDELAY, 0);
    }
    /* The child has said it, before nbdkit left its terminal. */
    cli_mute_notes();
    if (!confine_enter(confine, CONFINE_PLUGIN, &error) ||
        !load(NULL, &error)) {
        return fail(error, EINVAL);
    }
    return 0;
}

static void vma_dump_plugin(void)
{
    g_autofree char *confinement = confine_describe();

    printf("vma_confinement=%s\n", confinement);
}

/* --- Exports --- */

static char *describe(const BackupDevice *device)
{
    uint64_t bytes = restore_pool_size(pool, device);
    g_autofree char *size = cli_format_size(bytes);

    return g_strdup_printf("%s (%" G_GUINT64_FORMAT " bytes)", size, bytes);
}

/* A device whose name is no export's can still be the default one. */
static bool can_be_listed(const BackupDevice *device)
{
    return strlen(device->name) <= EXPORT_NAME_MAX_BYTES &&
           g_utf8_validate(device->name, -1, NULL) &&
           restore_disks_find(restore_pool_info(pool), device->name, NULL);
}

static int vma_list_exports(int readonly, int is_tls,
                            struct nbdkit_exports *exports)
{
    GPtrArray *devices = restore_pool_info(pool)->devices;

    (void)readonly;
    (void)is_tls;
    for (guint i = 0; i < devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(devices, i);
        g_autofree char *description = describe(device);

        if (can_be_listed(device) &&
            nbdkit_add_export(exports, device->name, description) < 0) {
            return -1;
        }
    }
    return 0;
}

static const char *vma_default_export(int readonly, int is_tls)
{
    (void)readonly;
    (void)is_tls;
    return !default_device ? NULL :
           can_be_listed(default_device) ? default_device->name : "";
}

static void *vma_open(int readonly)
{
    const char *name = nbdkit_export_name();
    const BackupDevice *device;
    GError *error = NULL;

    (void)readonly;
    if (!name) {
        return NULL;
    }
    if (!*name && default_device) {
        return (void *)default_device;
    }
    device = restore_disks_find(restore_pool_info(pool), name, &error);
    if (!device) {
        fail(error, ENOENT);
    }
    return (void *)device;
}

static const char *vma_export_description(void *handle)
{
    g_autofree char *description = describe(device_of(handle));

    return nbdkit_strdup_intern(description);
}

static int64_t vma_get_size(void *handle)
{
    return restore_pool_size(pool, device_of(handle));
}

/* --- Data --- */

static int vma_can_multi_conn(void *handle)
{
    (void)handle;
    return 1;
}

/* nbdkit reads and drops it: what was read is kept by the pool. */
static int vma_can_cache(void *handle)
{
    (void)handle;
    return NBDKIT_CACHE_EMULATE;
}

static int vma_pread(void *handle, void *buffer, uint32_t count,
                     uint64_t offset, uint32_t flags)
{
    const BackupDevice *device = device_of(handle);
    GError *error = NULL;

    (void)flags;
    if (!restore_pool_read(pool, device, offset, buffer, count, &error)) {
        g_prefix_error(&error, "cannot read disk '%s', %u bytes at "
                       "offset %" G_GUINT64_FORMAT ": ", device->name, count, offset);
        return fail(error, EIO);
    }
    return 0;
}

static int vma_extents(void *handle, uint32_t count, uint64_t offset,
                       uint32_t flags, struct nbdkit_extents *extents)
{
    const BackupDevice *device = device_of(handle);
    uint64_t limit = offset + count;
    uint64_t end;

    for (uint64_t from = offset; from < limit; from = end) {
        bool stored = restore_pool_run(pool, device, from, limit, &end);

        /* The disk may end within a block. */
        end = MIN(end, limit);
        if (nbdkit_add_extent(extents, from, end - from, stored ? 0 :
                              NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO) < 0) {
            return -1;
        }
        if (flags & NBDKIT_FLAG_REQ_ONE) {
            break;
        }
    }
    return 0;
}

static struct nbdkit_plugin plugin = {
    .name = "vma",
    .longname = "VMA archives of virtual machines",
    .version = CLI_VERSION,
    .description = "Serves the disks of a VMA archive, read-only.",
    .magic_config_key = "file",
    .config_help =
        "[file=]ARCHIVE         plain, or of zstd frames with their sizes\n"
        "device=NAME            the default export; by default an only disk\n"
        "cache-size=SIZE        memory for the archive's data (128M)\n"
        "confine=no             do not give up rights before it is read",
    .dump_plugin = vma_dump_plugin,
    .load = vma_load,
    .unload = vma_unload,
    .config = vma_config,
    .config_complete = vma_config_complete,
    .thread_model = vma_thread_model,
    .get_ready = vma_get_ready,
    .after_fork = vma_after_fork,
    .list_exports = vma_list_exports,
    .default_export = vma_default_export,
    .open = vma_open,
    .export_description = vma_export_description,
    .get_size = vma_get_size,
    .can_multi_conn = vma_can_multi_conn,
    .can_cache = vma_can_cache,
    .pread = vma_pread,
    .extents = vma_extents,
};

NBDKIT_REGISTER_PLUGIN(plugin)
