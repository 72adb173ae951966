/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of an archive into a compressed, seekable file: seekable.md.
 */
#ifndef VMA_SEEKABLE_H
#define VMA_SEEKABLE_H

#include <glib.h>

#include "io/zstd-writer.h"
#include "vma/parts.h"

/*
 * A frame ends with the first extent that makes it this large.  With the
 * default one that is full is alone, and such as are mostly zeroes share one.
 */
#define VMA_SEEKABLE_FRAME_DEFAULT_BYTES (UINT32_C(1) << 20)
#define VMA_SEEKABLE_FRAME_MAX_BYTES (UINT32_C(32) << 20)

typedef struct VmaSeekableOptions {
    int level;                  /* IO_ZSTD_LEVEL_MIN to ..._MAX */
    unsigned threads;           /* 1 to IO_ZSTD_THREADS_MAX */
    uint32_t frame_bytes;       /* 1 to VMA_SEEKABLE_FRAME_MAX_BYTES */
} VmaSeekableOptions;

/*
 * UUID is the archive's.  OUTPUT is borrowed and must outlive the parts; all
 * writes to it happen in the caller's thread.
 */
VmaParts *vma_seekable_new(IoOutput *output, const uuid_t uuid,
                           const VmaSeekableOptions *options, GError **error);

#endif /* VMA_SEEKABLE_H */
