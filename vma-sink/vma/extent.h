/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An extent's header between its bytes and a list of clusters, without I/O.
 */
#ifndef VMA_EXTENT_H
#define VMA_EXTENT_H

#include <glib.h>
#include <stdbool.h>
#include <uuid/uuid.h>

#include "vma/format.h"

typedef struct VmaCluster {
    uint8_t device_id;
    uint16_t mask;              /* bit i: block i is stored, else zeroes */
    uint32_t number;
    unsigned first_block;       /* of its stored blocks, within the extent */
    uint8_t slot;               /* its entry in the header */
} VmaCluster;

typedef struct VmaExtent {
    unsigned block_count;       /* stored blocks that follow the header */
    unsigned cluster_count;
    VmaCluster clusters[VMA_CLUSTERS_PER_EXTENT];
    /* The reserved bytes of all entries, used or not: see digest.h. */
    uint8_t spare[VMA_CLUSTERS_PER_EXTENT];
} VmaExtent;

static inline unsigned vma_mask_blocks(uint16_t mask)
{
    return __builtin_popcount(mask);
}

/*
 * Decodes a header and verifies what it can alone: magic, checksum, the
 * archive's uuid, and that masks and block count agree.  Device ids are 1 to
 * 255, cluster numbers any: whoever knows the devices checks them.  HEADER is
 * changed for a while.  False: *error is of kind DAMAGED.
 */
bool vma_extent_decode(VmaExtentHeader *header, const uuid_t uuid,
                       VmaExtent *extent, GError **error);

/*
 * Errors of an archive that ends where it should not: after OFFSET bytes, in
 * WHERE; or with too few bytes at OFFSET for a header, which are a cut one or
 * something else's.
 */
void vma_extent_set_cut(GError **error, const char *where, uint64_t offset);
void vma_extent_set_short(GError **error, const void *data, size_t bytes,
                          uint64_t offset);

/*
 * Looks for the first header in BYTES bytes that vma_extent_decode() would
 * take, wherever it begins.  True: at *at.  False: none begins before *at, and
 * from there on there are too few bytes to tell.  DATA is changed for a while.
 *
 * The time is linear: a byte is hashed 64 times at the most, for what is looked
 * at before a header's hash can't be there more often than every 8 bytes.
 */
bool vma_extent_find(uint8_t *data, size_t bytes, const uuid_t uuid,
                     size_t *at);

/*
 * Neither slot nor first_block is looked at: entries and blocks follow in the
 * order of the clusters.
 */
void vma_extent_encode(VmaExtentHeader *header, const uuid_t uuid,
                       const VmaExtent *extent);

#endif /* VMA_EXTENT_H */
