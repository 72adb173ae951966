/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk, or a range of its bytes, in order.  An archive has clusters in the
 * order in which they were saved, so they are read through an index.
 */
#include "restore/stream.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/stale.h"
#include "io/io.h"
#include "io/output.h"
#include "restore/check.h"
#include "restore/order.h"
#include "restore/scan.h"

#define BUFFER_BYTES (1u << 20)

static const uint8_t zeroes[BUFFER_BYTES];

typedef struct Stream {
    /* Set at creation, never changed. */
    RestoreOrder *order;
    const VmaIndex *index;
    uint8_t id;
    uint64_t from;              /* of the disk, the first byte */
    uint64_t to;                /* and the one behind the last */
    IoOutput *output;
    bool sparse;                /* a file, written at offsets */

    uint8_t *buffer;            /* BUFFER_BYTES */
    uint64_t bytes;             /* done */
    uint64_t zero;              /* of them */
} Stream;

static bool write_stored(Stream *s, size_t bytes, GError **error)
{
    if (!s->sparse) {
        return io_output_write(s->output, s->buffer, bytes, error);
    }
    if (!io_pwrite(io_output_fd(s->output), s->buffer, bytes, s->bytes,
                   error)) {
        g_prefix_error(error, "cannot write '%s': ",
                       io_output_path(s->output));
        return false;
    }
    return true;
}

/* The next bytes, up to TO in the disk, all stored or all zeroes. */
static bool write_run(Stream *s, bool stored, uint64_t to, GError **error)
{
    uint64_t from;

    while ((from = s->from + s->bytes) < to) {
        size_t part = MIN(to - from, BUFFER_BYTES);

        if (stored
            ? !restore_order_read(s->order, from, s->buffer, part, error) ||
              !write_stored(s, part, error)
            : !s->sparse &&
              !io_output_write(s->output, zeroes, part, error)) {
            return false;
        }
        s->bytes += part;
        s->zero += stored ? 0 : part;
    }
    return true;
}

static bool write_all(Stream *s, Progress *progress, GError **error)
{
    uint64_t from;

    while ((from = s->from + s->bytes) < s->to) {
        uint64_t end;
        bool stored = vma_index_run(s->index, s->id,
                                    from - from % VMA_BLOCK_BYTES, s->to,
                                    &end);

        progress_update(progress, s->bytes, s->zero, s->to - s->from);
        if (!write_run(s, stored, MIN(end, s->to), error)) {
            return false;
        }
    }
    progress_update(progress, s->bytes, s->zero, s->to - s->from);
    return true;
}

/* What is not written to a file is a hole, so it needs its size. */
static bool set_size(const Stream *s, GError **error)
{
    if (s->sparse &&
        ftruncate(io_output_fd(s->output), s->to - s->from) < 0) {
        backup_error_set_errno(error, errno, "cannot give '%s' its size of %"
                               G_GUINT64_FORMAT " bytes",
                               io_output_path(s->output), s->to - s->from);
        return false;
    }
    return true;
}

static bool run(Stream *s, Progress *progress, GError **error)
{
    restore_order_expect(s->order);
    if (!set_size(s, error) || !write_all(s, progress, error)) {
        return false;
    }
    progress_phase(progress, "syncing");
    return io_output_finish(s->output, error);
}

bool restore_stream(const RestoreArchive *archive, const BackupDevice *device,
                    const RestoreRange *range, const char *target,
                    bool overwrite, Progress *progress, uint64_t *bytes,
                    uint64_t *zero, GError **error)
{
    g_autoptr(IoOutput) output = NULL;
    g_autoptr(VmaIndex) index = NULL;
    g_autofree uint8_t *buffer = g_malloc(BUFFER_BYTES);
    g_autoptr(RestoreOrder) order = NULL;
    uint64_t from, to;
    Stream s;
    bool ok;

    *bytes = *zero = 0;
    cli_remove_stale(target);
    output = io_output_new(target, overwrite, error);
    index = output ? restore_scan(archive, error) : NULL;
    if (!index) {
        return false;
    }
    from = range ? range->offset : 0;
    to = range ? range->offset + range->bytes :
         restore_is_vmstate(device) ? vma_index_end(index, device->id)
                                    : device->size_bytes;
    order = restore_order_new(archive, index, device->id, from, to,
                              RESTORE_ORDER_KEPT_BYTES, error);
    if (!order) {
        return false;
    }
    s = (Stream) {
        .order = order,
        .index = index,
        .id = device->id,
        .from = from,
        .to = to,
        .output = output,
        .sparse = strcmp(target, "-") != 0,
        .buffer = buffer,
    };
    io_enlarge_pipe(io_output_fd(output));
    ok = run(&s, progress, error);
    *bytes = ok || !s.sparse ? s.bytes : 0;
    *zero = s.zero;
    return ok;
}
