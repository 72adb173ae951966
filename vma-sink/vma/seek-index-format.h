/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layout of the index of a compressed archive, for what builds it and what
 * reads it; seekable.md specifies it.  It is a part of the zstd file around the
 * archive, not of the archive, and little-endian as everything else there.
 */
#ifndef VMA_SEEK_INDEX_FORMAT_H
#define VMA_SEEK_INDEX_FORMAT_H

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "vma/seek-index.h"

#define INDEX_FRAME_MAGIC (IO_ZSTD_SKIPPABLE_MAGIC | 0xD)
#define INDEX_MAGIC "VMA+SEEK"
#define INDEX_VERSION 1

typedef struct SeekFrameHeader {
    uint32_t magic;             /* INDEX_FRAME_MAGIC */
    uint32_t bytes;             /* of what follows */
} __attribute__((packed)) SeekFrameHeader;
static_assert(sizeof(SeekFrameHeader) == IO_ZSTD_SKIPPABLE_HEADER_BYTES,
              "vma/seekable.md");

typedef struct SeekHeader {
    uint8_t magic[8];           /* INDEX_MAGIC */
    uint32_t version;           /* INDEX_VERSION */
    uint32_t reserved;
    uint8_t uuid[16];           /* the archive's */
    uint64_t total_bytes;       /* that all frames decompress to */
    uint64_t total_extents;
    uint64_t total_clusters;
    uint64_t total_blocks;
    uint32_t frames;            /* before this one */
    uint32_t runs;
    uint8_t table_digest[16];   /* of the seek table's entries for them */
} __attribute__((packed)) SeekHeader;
static_assert(sizeof(SeekHeader) == 88, "vma/seekable.md");
static_assert(offsetof(SeekHeader, total_bytes) == 32, "vma/seekable.md");
static_assert(offsetof(SeekHeader, frames) == 64, "vma/seekable.md");

typedef struct SeekRawRun {
    uint32_t first;             /* cluster */
    uint32_t last;              /* cluster, in the run */
    uint32_t frame;
    uint32_t extent_offset;     /* in what the frame decompresses to */
    uint16_t first_block;       /* stored blocks of the extent before its own */
    uint16_t mask;
    uint8_t device_id;
    uint8_t slot;               /* of the first cluster */
    uint16_t reserved;
} __attribute__((packed)) SeekRawRun;
static_assert(sizeof(SeekRawRun) == 24, "vma/seekable.md");

#define INDEX_CHECKSUM_BYTES 16u
#define INDEX_MIN_BYTES (sizeof(SeekHeader) + INDEX_CHECKSUM_BYTES)
#define INDEX_MAX_BYTES \
    (INDEX_MIN_BYTES + VMA_SEEK_INDEX_MAX_RUNS * sizeof(SeekRawRun))

/* The hash of all the bytes before it, which is at their end. */
static inline void seek_checksum(uint8_t checksum[INDEX_CHECKSUM_BYTES],
                                 const void *data, size_t bytes)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
    memcpy(checksum, canonical.digest, INDEX_CHECKSUM_BYTES);
}

/* For sorting; A and B are SeekRawRun. */
static inline int seek_compare_runs(const void *a, const void *b)
{
    const SeekRawRun *x = a, *y = b;
    uint32_t first_x = GUINT32_FROM_LE(x->first);
    uint32_t first_y = GUINT32_FROM_LE(y->first);

    if (x->device_id != y->device_id) {
        return x->device_id < y->device_id ? -1 : 1;
    }
    return first_x == first_y ? 0 : first_x < first_y ? -1 : 1;
}

#endif /* VMA_SEEK_INDEX_FORMAT_H */
