/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of an archive into frames, and what finds them again behind those.
 *
 * Extents are built one behind the other in the buffer of the frame to come,
 * so nothing is copied.  That buffer has room for one of the largest size
 * wherever a frame may go on.
 */
#include "vma/seekable.h"

#include "vma/seek-index.h"

typedef struct SeekableParts {
    VmaParts parts;
    uuid_t uuid;
    uint32_t frame_bytes;
    IoZstdWriter *writer;
    VmaSeekIndexBuilder *index;
    uint32_t fill;              /* bytes of extents in the frame to come */
} SeekableParts;

static bool seekable_header(VmaParts *parts, const void *data, size_t bytes,
                            GError **error)
{
    return io_zstd_writer_write(((SeekableParts *)parts)->writer, data, bytes,
                                error);
}

static uint8_t *seekable_room(VmaParts *parts, GError **error)
{
    SeekableParts *p = (SeekableParts *)parts;
    uint8_t *buffer = io_zstd_writer_room(p->writer, error);

    return buffer ? buffer + p->fill : NULL;
}

static void end_frame(SeekableParts *p)
{
    io_zstd_writer_give(p->writer, p->fill);
    p->fill = 0;
}

static bool seekable_extent(VmaParts *parts, const VmaExtent *extent,
                            size_t bytes, GError **error)
{
    SeekableParts *p = (SeekableParts *)parts;

    (void)error;
    vma_seek_index_builder_add(p->index, extent,
                               io_zstd_writer_next_frame(p->writer), p->fill);
    p->fill += bytes;
    if (p->fill >= p->frame_bytes) {
        end_frame(p);
    }
    return true;
}

/* An archive with too many runs has no index; it is searched instead. */
static bool write_index(SeekableParts *p, GError **error)
{
    const IoZstdTable *table = io_zstd_writer_drain(p->writer, error);
    g_autoptr(GByteArray) index = NULL;

    if (!table) {
        return false;
    }
    index = vma_seek_index_builder_encode(p->index, p->uuid, table);
    return !index || io_zstd_writer_write_skippable(p->writer, index->data,
                                                    index->len, error);
}

static bool seekable_finish(VmaParts *parts, GError **error)
{
    SeekableParts *p = (SeekableParts *)parts;

    if (p->fill > 0) {
        end_frame(p);
    }
    return write_index(p, error) && io_zstd_writer_finish(p->writer, error);
}

static void seekable_free(VmaParts *parts)
{
    SeekableParts *p = (SeekableParts *)parts;

    io_zstd_writer_free(p->writer);
    vma_seek_index_builder_free(p->index);
    g_free(p);
}

VmaParts *vma_seekable_new(IoOutput *output, const uuid_t uuid,
                           const VmaSeekableOptions *options, GError **error)
{
    static const VmaPartsClass class = {
        .header = seekable_header,
        .room = seekable_room,
        .extent = seekable_extent,
        .finish = seekable_finish,
        .free = seekable_free,
    };
    size_t room_bytes = options->frame_bytes - 1 + VMA_EXTENT_MAX_BYTES;
    IoZstdWriter *writer = io_zstd_writer_new(output, options->level,
                                              options->threads, room_bytes,
                                              error);
    SeekableParts *p;

    if (!writer) {
        return NULL;
    }
    p = g_new0(SeekableParts, 1);
    p->parts.class = &class;
    uuid_copy(p->uuid, uuid);
    p->frame_bytes = options->frame_bytes;
    p->writer = writer;
    p->index = vma_seek_index_builder_new(VMA_SEEK_INDEX_MAX_RUNS);
    return &p->parts;
}
