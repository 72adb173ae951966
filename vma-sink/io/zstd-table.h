/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the frames of a zstd file are: the seek table at its end, as zstd's
 * seekable format has it (vma/seekable.md repeats it).  Built up by whoever
 * writes frames, or read from a file, which may hold anything.
 */
#ifndef IO_ZSTD_TABLE_H
#define IO_ZSTD_TABLE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IO_ZSTD_TABLE_MAX_FRAMES UINT32_C(0x8000000)

/* A skippable frame begins with a magic number and the size of the rest. */
#define IO_ZSTD_SKIPPABLE_MAGIC UINT32_C(0x184D2A50)    /* to ...5F */
#define IO_ZSTD_SKIPPABLE_HEADER_BYTES 8u

typedef struct IoZstdFrame {
    uint64_t offset;            /* in the file */
    uint64_t content_offset;    /* in what all frames decompress to */
    uint32_t bytes;             /* in the file, all of the frame; 8 or more */
    uint32_t content_bytes;     /* decompressed; skippable frames: 0 */
} IoZstdFrame;

typedef struct IoZstdTable IoZstdTable;

IoZstdTable *io_zstd_table_new(void);
void io_zstd_table_free(IoZstdTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoZstdTable, io_zstd_table_free)

uint32_t io_zstd_table_frames(const IoZstdTable *table);

/* FRAME must be one of those, or their number: the end of the last one. */
IoZstdFrame io_zstd_table_frame(const IoZstdTable *table, uint32_t frame);

/* Adds the frame that follows.  False, of kind FAILED: the table is full. */
bool io_zstd_table_add(IoZstdTable *table, uint32_t bytes,
                       uint32_t content_bytes, GError **error);

/*
 * XXH3 of 128 bits, canonical, over the entries of the first FRAMES frames as
 * they are stored without checksums.
 */
void io_zstd_table_digest(const IoZstdTable *table, uint32_t frames,
                          uint8_t digest[16]);

/* The skippable frame that holds the table, without checksums of frames. */
GByteArray *io_zstd_table_encode(const IoZstdTable *table);

/*
 * Reads the table of a file of FILE_BYTES bytes, which must allow pread().
 * *table becomes NULL where there is none, which is no error: most zstd files
 * have none, and one that was cut has lost it.  False: it can't be read, or, of
 * kind DAMAGED, it contradicts itself or the file's size.  Memory follows the
 * number of entries that are really there.
 */
bool io_zstd_table_read(int fd, uint64_t file_bytes, IoZstdTable **table,
                        GError **error);

/*
 * Makes a table of the frames that are found in such a file, one after another
 * from its start, where it has none that can be used.  They end with the first
 * thing that is no frame, or has no size of at most MAX_CONTENT_BYTES in its
 * header; a skippable frame at the very end, where the table has its place, is
 * none of them.  What is in the frames is not looked at, but for 3 bytes of each
 * block of zstd.  False: it can't be read, or there is none with content: of kind
 * INCOMPLETE, because the file ends within the first one, or DAMAGED.
 */
bool io_zstd_table_find(int fd, uint64_t file_bytes,
                        uint32_t max_content_bytes, IoZstdTable **table,
                        GError **error);

#endif /* IO_ZSTD_TABLE_H */
