/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the parts of an archive go, its header and its extents, whole and in
 * order: into a file as they are, or into frames (vma/seekable.h).
 */
#ifndef VMA_PARTS_H
#define VMA_PARTS_H

#include <glib.h>
#include <stdbool.h>

#include "io/output.h"
#include "vma/extent.h"

typedef struct VmaParts VmaParts;

/* What each function does is said below, where the wrappers are. */
typedef struct VmaPartsClass {
    bool (*header)(VmaParts *parts, const void *data, size_t bytes,
                   GError **error);
    uint8_t *(*room)(VmaParts *parts, GError **error);
    bool (*extent)(VmaParts *parts, const VmaExtent *extent, size_t bytes,
                   GError **error);
    bool (*finish)(VmaParts *parts, GError **error);
    void (*free)(VmaParts *parts);
} VmaPartsClass;

struct VmaParts {
    const VmaPartsClass *class;
};

/*
 * Parts are written to the output as they are, a write each, to a file while the
 * next one is built.  OUTPUT is borrowed.
 */
VmaParts *vma_parts_new_plain(IoOutput *output, GError **error);

/* At any moment; the output stays the caller's. */
static inline void vma_parts_free(VmaParts *parts)
{
    if (parts) {
        parts->class->free(parts);
    }
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmaParts, vma_parts_free)

/* The first part. */
static inline bool vma_parts_header(VmaParts *parts, const void *data,
                                    size_t bytes, GError **error)
{
    return parts->class->header(parts, data, bytes, error);
}

/*
 * VMA_EXTENT_MAX_BYTES where the next extent is to be built; belongs to the
 * parts and is valid until that extent is given.  May write, to make room.
 */
static inline uint8_t *vma_parts_room(VmaParts *parts, GError **error)
{
    return parts->class->room(parts, error);
}

/* Gives the extent of BYTES bytes that was built there; EXTENT describes it. */
static inline bool vma_parts_extent(VmaParts *parts, const VmaExtent *extent,
                                    size_t bytes, GError **error)
{
    return parts->class->extent(parts, extent, bytes, error);
}

/* After the last extent: everything has reached the output. */
static inline bool vma_parts_finish(VmaParts *parts, GError **error)
{
    return parts->class->finish(parts, error);
}

#endif /* VMA_PARTS_H */
