/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive front to back from an input, which may be a pipe.  It
 * verifies each header by itself, and the end mark where there is one; whether
 * the clusters make up whole devices is for the caller to check.
 *
 * Errors are of kind DAMAGED, INCOMPLETE (cut inside a header or an extent) or
 * FAILED (the input can't be read), and give the offset in the archive.
 */
#ifndef VMA_READER_H
#define VMA_READER_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "io/input.h"
#include "vma/digest.h"
#include "vma/extent.h"

typedef struct VmaReader VmaReader;

typedef enum VmaNext {
    VMA_NEXT_ERROR,             /* *error is set */
    VMA_NEXT_EXTENT,
    VMA_NEXT_END,               /* the file ends after an extent */
} VmaNext;

/*
 * Reads and verifies the header, and nothing behind it.  The input is borrowed.
 */
VmaReader *vma_reader_new(IoInput *input, GError **error);

/*
 * The same, past damage of the header, if magic and version are right, there is
 * a disk in it, and an extent of the same uuid follows.  A sentence (char *) on
 * each thing that is wrong is appended to FINDINGS; where there is one, any of
 * what vma_reader_info() tells may be wrong, and more than the header was read.
 */
VmaReader *vma_reader_new_damaged(IoInput *input, GPtrArray *findings,
                                  GError **error);

void vma_reader_free(VmaReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmaReader, vma_reader_free)

/* Where the first extent begins. */
uint64_t vma_reader_header_bytes(const VmaReader *reader);

/* Valid as long as the reader. */
const BackupInfo *vma_reader_info(const VmaReader *reader);

/* Whether the archive has digests and an end mark. */
VmaDigestKind vma_reader_digest_kind(const VmaReader *reader);

/* The device of an id, or NULL. */
const BackupDevice *vma_reader_device(const VmaReader *reader, uint8_t id);

/* Reads the next extent.  *extent is valid until the next call. */
VmaNext vma_reader_next(VmaReader *reader, const VmaExtent **extent,
                        GError **error);

/*
 * Whether the current extent ends where another one begins, damaged or not, or
 * where the archive ends.  If not, bytes within it may be missing, or be too
 * many: where nothing else verifies its data nobody knows whether it is right.
 * Where the archive has digests it is known only of one whose data is wrong.
 */
bool vma_reader_is_followed(const VmaReader *reader);

/*
 * After vma_reader_next() gave an error of kind DAMAGED, or for an extent whose
 * data is wrong and that is not followed: passes over it, and over what is
 * behind it, as far as the next place where an extent of this archive begins,
 * also within the bad one, or to the end.  *skipped is how many bytes that are.
 * vma_reader_next() goes on from there.  False: of kind FAILED.
 */
bool vma_reader_resync(VmaReader *reader, uint64_t *skipped, GError **error);

/*
 * Where the archive has digests (else they return true): the current extent's
 * place among the others, to be asked once for each, and its data.  An error of
 * what is behind bad data can come in the place of that.
 */
bool vma_reader_verify_place(VmaReader *reader, GError **error);
bool vma_reader_verify_data(VmaReader *reader, GError **error);

/* The current extent's offset in the archive; at its end, the archive's size. */
uint64_t vma_reader_offset(const VmaReader *reader);

/* The stored blocks of a cluster of the current extent, one after another. */
const uint8_t *vma_reader_blocks(const VmaReader *reader,
                                 const VmaCluster *cluster);

#endif /* VMA_READER_H */
