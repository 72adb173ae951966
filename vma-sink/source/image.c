/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a raw image and sends it.  Holes are not read; clusters of zeroes are
 * found in the data, too, and go into the same runs as the holes around them.
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
#include "io/io.h"
#include "io/zero.h"

/*
 * Half of what the pipe holds, so that its reader can work on one while the
 * next one is read; 1 MiB was measured to be slower by an eighth.
 */
#define CHUNK_CLUSTERS 8u
#define CHUNK_BYTES (CHUNK_CLUSTERS * BACKUP_CLUSTER_BYTES)
G_STATIC_ASSERT(CHUNK_CLUSTERS <= WIRE_DATA_MAX_CLUSTERS);

struct Image {
    /* Set at creation, never changed. */
    char *path;
    int fd;
    bool block_device;
    uint64_t file_bytes;
    struct timespec changed;    /* regular files: when, last */
};

/* One image on its way into the stream. */
typedef struct Sender {
    const Image *image;
    const BackupDevice *device;
    WireWriter *writer;
    ImageTotals *totals;
    Progress *progress;
    uint8_t *buffer;            /* CHUNK_BYTES */
    uint64_t zero_first;        /* run of zeroes that is not yet sent */
    uint64_t zero_count;
} Sender;

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
        g_prefix_error(error, "cannot read '%s': ", image->path);
        return false;
    }
    format = format_by_magic(head, got);
    if (format) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' looks like a %s image, and only raw images are read: "
                    "convert it with qemu-img, or give it a block device with "
                    "qemu-nbd (--any-content takes it as a raw disk)",
                    image->path, format);
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
        backup_error_set_errno(error, errno, "cannot stat '%s'", image->path);
        return false;
    }
    if (S_ISREG(st.st_mode)) {
        image->file_bytes = st.st_size;
        image->changed = st.st_mtim;
        return true;
    }
    if (!S_ISBLK(st.st_mode)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "'%s' is neither a regular file nor a block device",
                    image->path);
        return false;
    }
    if (ioctl(image->fd, BLKGETSIZE64, &bytes) < 0) {
        backup_error_set_errno(error, errno, "cannot get the size of '%s'",
                               image->path);
        return false;
    }
    image->block_device = true;
    image->file_bytes = bytes;
    return true;
}

Image *image_open(const char *path, bool any_content, GError **error)
{
    g_autoptr(Image) image = g_new0(Image, 1);

    image->path = g_strdup(path);
    /* Non-blocking, because a FIFO would otherwise wait for a writer. */
    image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (image->fd < 0) {
        backup_error_set_errno(error, errno, "cannot open '%s'", path);
        return NULL;
    }
    if (!stat_image(image, error) ||
        (!any_content && !refuse_formats(image, error))) {
        return NULL;
    }
    /* Only advice: a refusal changes nothing. */
    (void)posix_fadvise(image->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return g_steal_pointer(&image);
}

void image_free(Image *image)
{
    if (!image) {
        return;
    }
    if (image->fd >= 0) {
        close(image->fd);
    }
    g_free(image->path);
    g_free(image);
}

unsigned image_padding_bytes(const Image *image)
{
    return -image->file_bytes % WIRE_SECTOR_BYTES;
}

uint64_t image_size_bytes(const Image *image)
{
    return image->file_bytes + image_padding_bytes(image);
}

/* A disk that is written to while it is read is not one point in time. */
static bool verify_unchanged(const Image *image, GError **error)
{
    struct stat st;

    if (image->block_device) {
        return true;
    }
    if (fstat(image->fd, &st) < 0) {
        backup_error_set_errno(error, errno, "cannot stat '%s'", image->path);
        return false;
    }
    if ((uint64_t)st.st_size < image->file_bytes) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot read '%s': it has shrunk from %" G_GUINT64_FORMAT
                    " to %" G_GINT64_FORMAT " bytes", image->path,
                    image->file_bytes, (int64_t)st.st_size);
        return false;
    }
    if (memcmp(&st.st_mtim, &image->changed, sizeof(st.st_mtim)) != 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot back up '%s': it was written to while it was read",
                    image->path);
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
    uint64_t clusters = backup_clusters(image->file_bytes);
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

/* Reads a run; what a file lacks to whole sectors is filled with zeroes. */
static bool read_run(const Sender *s, uint64_t first, uint64_t count,
                     GError **error)
{
    const Image *image = s->image;
    uint64_t offset = first * BACKUP_CLUSTER_BYTES;
    size_t bytes = backup_run_bytes(s->device->size_bytes, first, count);
    size_t wanted = MIN(bytes, image->file_bytes - offset);
    size_t got;

    if (!io_pread(image->fd, s->buffer, wanted, offset, &got, error)) {
        if (!io_interrupted(NULL)) {
            g_prefix_error(error, "cannot read '%s' at offset %"
                           G_GUINT64_FORMAT ": ", image->path, offset + got);
        }
        return false;
    }
    if (got < wanted) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot read '%s': it ends at offset %" G_GUINT64_FORMAT
                    ", %" G_GUINT64_FORMAT " bytes early", image->path,
                    offset + got, image->file_bytes - offset - got);
        return false;
    }
    memset(s->buffer + wanted, 0, bytes - wanted);
    return true;
}

static void count_run(const Sender *s, uint64_t first, uint64_t count,
                      bool zero)
{
    uint64_t bytes = backup_run_bytes(s->device->size_bytes, first, count);

    s->totals->done_bytes += bytes;
    s->totals->zero_bytes += zero ? bytes : 0;
    progress_update(s->progress, s->totals->done_bytes, s->totals->zero_bytes,
                    s->totals->total_bytes);
}

static bool flush_zeroes(Sender *s, GError **error)
{
    uint64_t count = s->zero_count;

    s->zero_count = 0;
    return count == 0 ||
           wire_writer_zero(s->writer, s->device, s->zero_first, count, error);
}

static void add_zeroes(Sender *s, uint64_t first, uint64_t count)
{
    if (count > 0) {
        if (s->zero_count == 0) {
            s->zero_first = first;
        }
        s->zero_count += count;
        count_run(s, first, count, true);
    }
}

static bool send_data(Sender *s, uint64_t first, uint64_t count,
                      const uint8_t *data, GError **error)
{
    if (count == 0) {
        return true;
    }
    if (!flush_zeroes(s, error) ||
        !wire_writer_data(s->writer, s->device, first, count, data, error)) {
        return false;
    }
    count_run(s, first, count, false);
    return true;
}

/* COUNT clusters at most CHUNK_CLUSTERS, split where zeroes begin and end. */
static bool send_chunk(Sender *s, uint64_t first, uint64_t count,
                       GError **error)
{
    const uint8_t *data = s->buffer;    /* of cluster FIRST + data_from */
    uint64_t data_from = 0;

    if (!read_run(s, first, count, error)) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *p = s->buffer + i * BACKUP_CLUSTER_BYTES;
        size_t bytes = backup_run_bytes(s->device->size_bytes, first + i, 1);

        if (io_is_zero(p, bytes)) {
            if (!send_data(s, first + data_from, i - data_from, data, error)) {
                return false;
            }
            add_zeroes(s, first + i, 1);
            data_from = i + 1;
            data = p + BACKUP_CLUSTER_BYTES;
        }
    }
    return send_data(s, first + data_from, count - data_from, data, error);
}

static bool send_clusters(Sender *s, GError **error)
{
    uint64_t clusters = backup_clusters(s->device->size_bytes);
    uint64_t next = 0;

    while (next < clusters) {
        uint64_t first, end;

        if (!find_data(s->image, next, &first, &end, error)) {
            return false;
        }
        add_zeroes(s, next, first - next);
        for (next = first; next < end; ) {
            uint64_t count = MIN(end - next, CHUNK_CLUSTERS);

            if (!send_chunk(s, next, count, error)) {
                return false;
            }
            next += count;
        }
    }
    return flush_zeroes(s, error);
}

bool image_send(Image *image, WireWriter *writer, const BackupDevice *device,
                ImageTotals *totals, Progress *progress, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(CHUNK_BYTES);
    Sender s = {
        .image = image,
        .device = device,
        .writer = writer,
        .totals = totals,
        .progress = progress,
        .buffer = buffer,
    };

    g_assert(device->size_bytes == image_size_bytes(image));
    return send_clusters(&s, error) && verify_unchanged(image, error) &&
           wire_writer_device_end(writer, device, error);
}
