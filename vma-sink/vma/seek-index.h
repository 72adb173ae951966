/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of a compressed archive: in which frame, and where in it, each
 * cluster of each device is.  seekable.md specifies it.  An index says where
 * to look; the extent found there says, with its own checksums, what it is.
 */
#ifndef VMA_SEEK_INDEX_H
#define VMA_SEEK_INDEX_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"
#include "io/zstd-table.h"
#include "vma/extent.h"

#define VMA_SEEK_INDEX_MAX_RUNS (UINT32_C(1) << 24)

/*
 * A run of consecutive clusters of a device with one mask.  Where the mask is
 * not 0 they have consecutive slots of one extent.
 */
typedef struct VmaSeekRun {
    uint8_t device_id;          /* 1 to 254 */
    uint16_t mask;              /* bit i: block i of each cluster is stored */
    uint32_t number;            /* the first cluster */
    uint64_t count;             /* at least 1; up to 59 where mask is not 0 */
    /* Where the mask is not 0, else all 0: */
    uint8_t slot;               /* the first cluster's, within the extent */
    uint32_t frame;
    uint32_t extent_offset;     /* within what the frame decompresses to */
    uint32_t block_offset;      /* likewise; of the first stored block */
} VmaSeekRun;

/* What the archive has, all together. */
typedef struct VmaSeekTotals {
    uint64_t bytes;             /* uncompressed */
    uint64_t extents;           /* with the end mark */
    uint64_t clusters;          /* of all devices */
    uint64_t blocks;            /* stored */
} VmaSeekTotals;

/* Writer: gathers runs while the archive is written. */
typedef struct VmaSeekIndexBuilder VmaSeekIndexBuilder;

/* MAX_RUNS is VMA_SEEK_INDEX_MAX_RUNS, or less for a test. */
VmaSeekIndexBuilder *vma_seek_index_builder_new(uint32_t max_runs);
void vma_seek_index_builder_free(VmaSeekIndexBuilder *builder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmaSeekIndexBuilder, vma_seek_index_builder_free)

/*
 * Adds an extent, the end mark too.  Memory: 24 bytes a run, until there are
 * too many for an index; then all are dropped.
 */
void vma_seek_index_builder_add(VmaSeekIndexBuilder *builder,
                                const VmaExtent *extent, uint32_t frame,
                                uint32_t extent_offset);

/*
 * The skippable frame that holds the index, for the frames in TABLE.  NULL:
 * there are more runs than an index may have.  Called once, at the end.
 */
GByteArray *vma_seek_index_builder_encode(VmaSeekIndexBuilder *builder,
                                          const uuid_t uuid,
                                          const IoZstdTable *table);

/* Reader. */
typedef struct VmaSeekIndex VmaSeekIndex;

/*
 * Finds and reads the index of a file with this seek table.  *index becomes
 * NULL where there is none, or one of a later version, which is no error; one
 * that is damaged in what tells it from these is known by its hash.
 * False: it can't be read, or is DAMAGED.  Memory is what it has in the file.
 */
bool vma_seek_index_read(int fd, const IoZstdTable *table,
                         VmaSeekIndex **index, GError **error);

/*
 * The same of bytes, those of the skippable frame without its header; they are
 * taken, whatever comes of it.
 */
VmaSeekIndex *vma_seek_index_decode(GBytes *bytes, const IoZstdTable *table,
                                    GError **error);
void vma_seek_index_free(VmaSeekIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmaSeekIndex, vma_seek_index_free)

/*
 * Whether the index is of this archive: the uuid, and each cluster of each
 * device exactly once.  False, of kind DAMAGED: it must not be used.
 */
bool vma_seek_index_matches(const VmaSeekIndex *index, const BackupInfo *info,
                            GError **error);

/*
 * Whether an index that matches says of the clusters of EXTENT, which begins at
 * EXTENT_OFFSET of what FRAME decompresses to, what is there.  False, of kind
 * DAMAGED.
 */
bool vma_seek_index_verify_extent(const VmaSeekIndex *index,
                                  const VmaExtent *extent, uint32_t frame,
                                  uint64_t extent_offset, GError **error);

const VmaSeekTotals *vma_seek_index_totals(const VmaSeekIndex *index);

/* The runs in order of device and cluster. */
uint32_t vma_seek_index_runs(const VmaSeekIndex *index);
VmaSeekRun vma_seek_index_run(const VmaSeekIndex *index, uint32_t i);

/* The number of the run that a cluster is in; false: there is none. */
bool vma_seek_index_find(const VmaSeekIndex *index, uint8_t device_id,
                         uint32_t number, uint32_t *i);

#endif /* VMA_SEEK_INDEX_H */
