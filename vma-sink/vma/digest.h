/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums for an archive's data and a mark at its end, in bytes that readers
 * of the format ignore: vma-sink/vma/digests.md specifies both.  No I/O.
 */
#ifndef VMA_DIGEST_H
#define VMA_DIGEST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vma/extent.h"

/* What an archive has, by the mark in its header. */
typedef enum VmaDigestKind {
    VMA_DIGEST_NONE,            /* as Proxmox's tools write it */
    VMA_DIGEST_XXH3,
    VMA_DIGEST_UNKNOWN,         /* a later version, which is not checked */
} VmaDigestKind;

/* Set and found in a header without regard to its checksum. */
void vma_digest_mark_header(VmaHeader *header);
VmaDigestKind vma_digest_find_mark(const VmaHeader *header);

/* The course of one archive, from its first extent to its end mark. */
typedef struct VmaDigests VmaDigests;

VmaDigests *vma_digests_new(void);
void vma_digests_free(VmaDigests *digests);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmaDigests, vma_digests_free)

/* Writer: fills the spare bytes of the next extent, with these blocks. */
void vma_digests_seal(VmaDigests *digests, VmaExtent *extent,
                      const void *blocks);

/* Writer: makes EXTENT the end mark, an extent without clusters. */
void vma_digests_seal_end(VmaDigests *digests, VmaExtent *extent);

/*
 * Reader: verifies that EXTENT is the next one.  False, of kind DAMAGED: extents
 * are missing, out of order, or behind the end mark.  It may be called on after
 * that, to see how the rest fares: it goes on from the number that the extent
 * says it has.
 */
bool vma_digests_verify_place(VmaDigests *digests, const VmaExtent *extent,
                              GError **error);

/* Reader.  False, of kind DAMAGED: the blocks do not match the digest. */
bool vma_digests_verify_data(const VmaExtent *extent, const void *blocks,
                             GError **error);

/*
 * Whether the blocks match a digest in the extent, which shows that its archive
 * has digests, whatever the header says.
 */
bool vma_digest_is_sealed(const VmaExtent *extent, const void *blocks);

/* Reader, at the end of the archive.  False, of kind INCOMPLETE: no end mark. */
bool vma_digests_verify_end(const VmaDigests *digests, GError **error);

#endif /* VMA_DIGEST_H */
