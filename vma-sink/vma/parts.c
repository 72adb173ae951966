/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of an archive into a file as they are.  The one buffer is free
 * again when the write has returned.
 */
#include "vma/parts.h"

typedef struct PlainParts {
    VmaParts parts;
    IoOutput *output;           /* borrowed */
    uint8_t *buffer;            /* VMA_EXTENT_MAX_BYTES */
} PlainParts;

static bool plain_header(VmaParts *parts, const void *data, size_t bytes,
                         GError **error)
{
    return io_output_write(((PlainParts *)parts)->output, data, bytes, error);
}

static uint8_t *plain_room(VmaParts *parts, GError **error)
{
    (void)error;
    return ((PlainParts *)parts)->buffer;
}

static bool plain_extent(VmaParts *parts, const VmaExtent *extent, size_t bytes,
                         GError **error)
{
    PlainParts *p = (PlainParts *)parts;

    (void)extent;
    return io_output_write(p->output, p->buffer, bytes, error);
}

static bool plain_finish(VmaParts *parts, GError **error)
{
    (void)parts;
    (void)error;
    return true;
}

static void plain_free(VmaParts *parts)
{
    g_free(((PlainParts *)parts)->buffer);
    g_free(parts);
}

VmaParts *vma_parts_new_plain(IoOutput *output)
{
    static const VmaPartsClass class = {
        .header = plain_header,
        .room = plain_room,
        .extent = plain_extent,
        .finish = plain_finish,
        .free = plain_free,
    };
    PlainParts *p = g_new0(PlainParts, 1);

    p->parts.class = &class;
    p->output = output;
    p->buffer = g_malloc(VMA_EXTENT_MAX_BYTES);
    return &p->parts;
}
