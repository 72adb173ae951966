/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a raw image.  Holes are not read.
 */
#include "source/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/disk-lock.h"
#include "io/io.h"

/*
 * Half of what the pipe holds, so that its reader can work on one while the
 * next one is read; 1 MiB was measured to be slower by an eighth.
 */
#define CHUNK_CLUSTERS 8u
#define CHUNK_BYTES (CHUNK_CLUSTERS * BACKUP_CLUSTER_BYTES)
G_STATIC_ASSERT(CHUNK_CLUSTERS <= WIRE_DATA_MAX_CLUSTERS);

typedef struct Image {
    Disk disk;
    /* Set at creation, never changed. */
    int fd;
    bool force_share;
    bool block_device;
    struct timespec changed;    /* regular files: when, last */
} Image;

typedef struct Magic {
    const char *format;
    size_t offset;
    size_t bytes;
    const char *data;
} Magic;

/* NULL where nothing is known. */
static const char *format_by_magic(const char *head, size_t bytes)
{
    static const Magic magics[] = {
        { "qcow2", 0, 4, "QFI\xfb" },
        { "qed", 0, 4, "QED\0" },
        { "vmdk", 0, 4, "KDMV" },
        { "vhdx", 0, 8, "vhdxfile" },
        { "vdi", 64, 4, "\x7f\x10\xda\xbe" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(magics); i++) {
        const Magic *m = &magics[i];

        if (m->offset + m->bytes <= bytes &&
            memcmp(head + m->offset, m->data, m->bytes) == 0) {
            return m->format;
        }
    }
    return NULL;
}

static bool refuse_formats(const Image *image, GError **error)
{
    const char *format;
    char head[512];
    size_t got;

    if (!io_pread(image->fd, head, sizeof(head), 0, &got, error)) {
        g_prefix_error(error, "cannot read '%s': ", image->disk.name);
        return false;
    }
    format = format_by_magic(head, got);
    if (format) {
        g_autofree char *quoted = g_shell_quote(image->disk.name);

        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' looks like a %s image, and only raw images are read: "
                    "export it with \"qemu-nbd --read-only --fork "
                    "--socket=/tmp/disk.sock %s\", and give "
                    "nbd+unix:///?socket=/tmp/disk.sock in its place "
                    "(--any-content takes it as a raw disk)",
                    image->disk.name, format, quoted);
        return false;
    }
    return true;
}

/* Type, size and time of change. */
static bool stat_image(Image *image, GError **error)
{
    struct stat st;
    uint64_t bytes;

    if (fstat(image->fd, &st) < 0) {
        backup_error_set_errno(error, errno, "cannot stat '%s'",
                               image->disk.name);
        return false;
    }
    if (S_ISREG(st.st_mode)) {
        image->disk.source_bytes = st.st_size;
        image->changed = st.st_mtim;
        return true;
    }
    if (!S_ISBLK(st.st_mode)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is neither a regular file nor a block device",
                    image->disk.name);
        return false;
    }
    if (ioctl(image->fd, BLKGETSIZE64, &bytes) < 0) {
        backup_error_set_errno(error, errno, "cannot get the size of '%s'",
                               image->disk.name);
        return false;
    }
    image->block_device = true;
    image->disk.source_bytes = bytes;
    return true;
}

static bool verify_unused(const Image *image, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (image->force_share || io_disk_check_unused(image->fd, &local)) {
        return true;
    }
    g_set_error(error, local->domain, local->code,
                "cannot back up '%s': %s; a running guest is backed up with "
                "--qmp (--force-share reads what may change meanwhile)",
                image->disk.name, local->message);
    return false;
}

/* A disk that is written to while it is read is not one point in time. */
static bool verify_unchanged(const Image *image, GError **error)
{
    struct stat st;

    if (!verify_unused(image, error)) {
        return false;
    }
    if (image->block_device) {
        return true;
    }
    if (fstat(image->fd, &st) < 0) {
        backup_error_set_errno(error, errno, "cannot stat '%s'",
                               image->disk.name);
        return false;
    }
    if ((uint64_t)st.st_size < image->disk.source_bytes) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot read '%s': it has shrunk from %" G_GUINT64_FORMAT
                    " to %" G_GINT64_FORMAT " bytes", image->disk.name,
                    image->disk.source_bytes, (int64_t)st.st_size);
        return false;
    }
    if (memcmp(&st.st_mtim, &image->changed, sizeof(st.st_mtim)) != 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot back up '%s': it was written to while it was read",
                    image->disk.name);
        return false;
    }
    return true;
}

/*
 * The next stretch of clusters at or behind FROM that may hold data, as
 * [*first, *end); an empty one at the end of the image.
 * Where the system knows of no holes everything is data.
 */
static bool find_data(const Image *image, uint64_t from, uint64_t *first,
                      uint64_t *end, GError **error)
{
    uint64_t clusters = backup_clusters(image->disk.source_bytes);
    off_t data = lseek(image->fd, from * BACKUP_CLUSTER_BYTES, SEEK_DATA);
    off_t hole;

    *first = from;
    *end = clusters;
    if (data < 0 && errno == ENXIO) {
        *first = clusters;
        return verify_unchanged(image, error);
    }
    hole = data < 0 ? data : lseek(image->fd, data, SEEK_HOLE);
    if (hole < 0) {
        return true;
    }
    *first = MIN(clusters, (uint64_t)data / BACKUP_CLUSTER_BYTES);
    *end = MIN(clusters, backup_clusters(hole));
    return true;
}

/* Reads a run, as far as the file goes. */
static bool read_run(const Image *image, uint64_t first, uint64_t count,
                     uint8_t *buffer, GError **error)
{
    uint64_t offset = first * BACKUP_CLUSTER_BYTES;
    size_t wanted = backup_run_bytes(image->disk.source_bytes, first, count);
    size_t got;

    if (!io_pread(image->fd, buffer, wanted, offset, &got, error)) {
        if (!io_interrupted(NULL)) {
            g_prefix_error(error, "cannot read '%s' at offset %"
                           G_GUINT64_FORMAT ": ", image->disk.name,
                           offset + got);
        }
        return false;
    }
    if (got < wanted) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot read '%s': it ends at offset %" G_GUINT64_FORMAT
                    ", %" G_GUINT64_FORMAT " bytes early", image->disk.name,
                    offset + got, image->disk.source_bytes - offset - got);
        return false;
    }
    return true;
}

static bool image_send(Disk *disk, DiskSender *sender, GError **error)
{
    const Image *image = (Image *)disk;
    g_autofree uint8_t *buffer = g_malloc(CHUNK_BYTES);
    uint64_t clusters = backup_clusters(disk->source_bytes);
    uint64_t next = 0;

    while (next < clusters) {
        uint64_t first, end;

        if (!find_data(image, next, &first, &end, error)) {
            return false;
        }
        disk_send_zeroes(sender, next, first - next);
        for (next = first; next < end; ) {
            uint64_t count = MIN(end - next, CHUNK_CLUSTERS);

            if (!read_run(image, next, count, buffer, error) ||
                !disk_send_data(sender, next, count, buffer, error)) {
                return false;
            }
            next += count;
        }
    }
    return verify_unchanged(image, error);
}

static void image_free(Disk *disk)
{
    Image *image = (Image *)disk;

    if (image->fd >= 0) {
        close(image->fd);
    }
    g_free(image);
}

static const DiskKind image_kind = {
    .send = image_send,
    .free = image_free,
};

/* -1 with *error set. */
static int open_path(const char *path, bool force_share, GError **error)
{
    struct stat st;
    bool block_device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);
    /* Exclusive among those who mount it or build on it; others don't ask. */
    int exclusive = block_device && !force_share ? O_EXCL : 0;
    /* Non-blocking, because a FIFO would otherwise wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | exclusive);

    if (fd < 0 && exclusive && errno == EBUSY) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot back up '%s': it is in use (mounted, or a part of "
                    "another device), so unmount it first; a running guest is "
                    "backed up with --qmp (--force-share reads what may change "
                    "meanwhile)", path);
    } else if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot open '%s'", path);
    }
    return fd;
}

Disk *image_open(const char *path, const DiskOptions *options, GError **error)
{
    Image *image = g_new0(Image, 1);
    g_autoptr(Disk) disk = &image->disk;

    disk->kind = &image_kind;
    disk->name = g_strdup(path);
    image->force_share = options->force_share;
    image->fd = open_path(path, options->force_share, error);
    if (image->fd < 0) {
        return NULL;
    }
    if (!stat_image(image, error) || !verify_unused(image, error) ||
        (!options->any_content && !refuse_formats(image, error))) {
        return NULL;
    }
    /* Only advice: a refusal changes nothing. */
    (void)posix_fadvise(image->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return g_steal_pointer(&disk);
}
