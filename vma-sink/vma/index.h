/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where in an archive the stored blocks of each cluster are, for reading it in
 * another order than its own.  A table in memory, without I/O: whoever fills it
 * reads the extents' headers, or a copy of the table, and has checked every
 * cluster before (it lies within its device, and is there once).
 *
 * It takes 16 bytes for a cluster with data, 8 for an extent with data, and
 * none for zeroes: some hundredths of a percent of the archive's size, whatever
 * sizes its devices claim to have.
 */
#ifndef VMA_INDEX_H
#define VMA_INDEX_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vma/extent.h"

typedef struct VmaIndex VmaIndex;

/* The stored blocks of a cluster. */
typedef struct VmaPlace {
    uint32_t extent;            /* number among the extents with data */
    uint64_t extent_offset;     /* of its header in the archive */
    uint16_t mask;              /* bit i: block i is stored */
    uint16_t first_block;       /* of them, within the extent */
    uint32_t check;             /* what was set last; 0: nothing was */
} VmaPlace;

VmaIndex *vma_index_new(void);
void vma_index_free(VmaIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmaIndex, vma_index_free)

/*
 * Adds the clusters of an extent, in any order.  False, of kind FAILED: it has
 * more extents than an index can take.
 */
bool vma_index_add(VmaIndex *index, uint64_t extent_offset,
                   const VmaExtent *extent, GError **error);

/* After the last extent, and before anything is asked. */
void vma_index_finish(VmaIndex *index);

/* False: the cluster is all zeroes. */
bool vma_index_find(const VmaIndex *index, uint8_t device_id, uint32_t cluster,
                    VmaPlace *place);

/* The first cluster with data at or behind FROM; false: there is none. */
bool vma_index_next(const VmaIndex *index, uint8_t device_id, uint64_t from,
                    uint32_t *cluster, VmaPlace *place);

/*
 * Whether a cluster with data is in EXTENT, by its number in the index, and
 * stands there as CLUSTER says.
 */
bool vma_index_has(const VmaIndex *index, uint32_t extent,
                   const VmaCluster *cluster);

/*
 * Notes something of a cluster with data, for instance a checksum of its stored
 * blocks, not 0.  Any thread may do this while others ask.
 */
void vma_index_set_check(VmaIndex *index, const VmaCluster *cluster,
                         uint32_t check);

/*
 * The run of stored blocks, or of zeroes, that begins at the byte FROM of a
 * device, a multiple of 4096 below LIMIT: returns whether it is stored, and in
 * *end where it ends, at the block's end behind LIMIT at the latest.
 */
bool vma_index_run(const VmaIndex *index, uint8_t device_id, uint64_t from,
                   uint64_t limit, uint64_t *end);

/* Where the last stored block of a device ends; 0: it has none. */
uint64_t vma_index_end(const VmaIndex *index, uint8_t device_id);

/* How many extents have data, and how much memory the index has. */
uint32_t vma_index_extents(const VmaIndex *index);
size_t vma_index_bytes(const VmaIndex *index);

#endif /* VMA_INDEX_H */
