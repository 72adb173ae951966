/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of an archive into a file as they are, while the next extent is
 * built.
 */
#include "vma/parts.h"

#include "io/write-behind.h"

typedef struct PlainParts {
    VmaParts parts;
    IoOutput *output;           /* borrowed */
    IoWriteBehind *extents;
} PlainParts;

static bool plain_header(VmaParts *parts, const void *data, size_t bytes,
                         GError **error)
{
    return io_output_write(((PlainParts *)parts)->output, data, bytes, error);
}

static uint8_t *plain_room(VmaParts *parts, GError **error)
{
    return io_write_behind_room(((PlainParts *)parts)->extents, error);
}

static bool plain_extent(VmaParts *parts, const VmaExtent *extent, size_t bytes,
                         GError **error)
{
    (void)extent;
    return io_write_behind_give(((PlainParts *)parts)->extents, bytes, error);
}

static bool plain_finish(VmaParts *parts, GError **error)
{
    return io_write_behind_drain(((PlainParts *)parts)->extents, error);
}

static void plain_free(VmaParts *parts)
{
    io_write_behind_free(((PlainParts *)parts)->extents);
    g_free(parts);
}

VmaParts *vma_parts_new_plain(IoOutput *output, GError **error)
{
    static const VmaPartsClass class = {
        .header = plain_header,
        .room = plain_room,
        .extent = plain_extent,
        .finish = plain_finish,
        .free = plain_free,
    };
    IoWriteBehind *extents = io_write_behind_new(output, VMA_EXTENT_MAX_BYTES,
                                                 error);
    PlainParts *p;

    if (!extents) {
        return NULL;
    }
    p = g_new0(PlainParts, 1);
    p->parts.class = &class;
    p->output = output;
    p->extents = extents;
    return &p->parts;
}
