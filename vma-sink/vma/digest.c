/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums for an archive's data and a mark at its end.
 */
#include "vma/digest.h"

#include <string.h>
#include <xxhash.h>
/* Of these functions, variants that hash with the processor's widest words. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include "backup/error.h"

#define MARK_MAGIC "VMA+XXH3"
#define MARK_VERSION 1

/* The mark, at the start of the header's first reserved area. */
typedef struct HeaderMark {
    uint8_t magic[8];           /* MARK_MAGIC */
    uint32_t version;           /* MARK_VERSION */
    uint32_t reserved;
} __attribute__((packed)) HeaderMark;
static_assert(sizeof(HeaderMark) == 16, "vma/digests.md");
static_assert(offsetof(VmaHeader, reserved1) == 60, "vma/digests.md");

enum {
    KIND_DATA = 1,
    KIND_END = 2,
};

/* The reserved bytes of an extent's 59 entries, taken together. */
typedef struct Spare {
    uint8_t digest[16];         /* of the blocks; end: of all digests */
    uint8_t kind;               /* KIND_... */
    uint64_t number;            /* of extents before this one */
    uint8_t reserved[34];
} __attribute__((packed)) Spare;
static_assert(sizeof(Spare) == VMA_CLUSTERS_PER_EXTENT, "vma/digests.md");

struct VmaDigests {
    uint64_t next;              /* the number of the extent to come */
    bool ended;
    bool broken;                /* extents were lost: no digest of all */
    XXH3_state_t *all;          /* over the digests of all extents */
};

void vma_digest_mark_header(VmaHeader *header)
{
    HeaderMark mark = { .version = GUINT32_TO_BE(MARK_VERSION) };

    memcpy(mark.magic, MARK_MAGIC, sizeof(mark.magic));
    memcpy(header->reserved1, &mark, sizeof(mark));
}

VmaDigestKind vma_digest_find_mark(const VmaHeader *header)
{
    HeaderMark mark;

    memcpy(&mark, header->reserved1, sizeof(mark));
    if (memcmp(mark.magic, MARK_MAGIC, sizeof(mark.magic)) != 0) {
        return VMA_DIGEST_NONE;
    }
    return GUINT32_FROM_BE(mark.version) == MARK_VERSION && !mark.reserved
           ? VMA_DIGEST_XXH3 : VMA_DIGEST_UNKNOWN;
}

VmaDigests *vma_digests_new(void)
{
    VmaDigests *d = g_new0(VmaDigests, 1);

    d->all = XXH3_createState();
    XXH3_128bits_reset(d->all);
    return d;
}

void vma_digests_free(VmaDigests *d)
{
    if (d) {
        XXH3_freeState(d->all);
        g_free(d);
    }
}

static void store(uint8_t digest[16], XXH128_hash_t hash)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest, canonical.digest, sizeof(canonical.digest));
}

static void digest_blocks(uint8_t digest[16], const VmaExtent *extent,
                          const void *blocks)
{
    store(digest, XXH3_128bits(blocks, (size_t)extent->block_count *
                                       VMA_BLOCK_BYTES));
}

void vma_digests_seal(VmaDigests *d, VmaExtent *extent, const void *blocks)
{
    Spare spare = { .kind = KIND_DATA, .number = GUINT64_TO_BE(d->next) };

    g_assert(!d->ended);
    digest_blocks(spare.digest, extent, blocks);
    XXH3_128bits_update(d->all, spare.digest, sizeof(spare.digest));
    d->next++;
    memcpy(extent->spare, &spare, sizeof(spare));
}

void vma_digests_seal_end(VmaDigests *d, VmaExtent *extent)
{
    Spare spare = { .kind = KIND_END, .number = GUINT64_TO_BE(d->next) };

    store(spare.digest, XXH3_128bits_digest(d->all));
    d->ended = true;
    extent->block_count = 0;
    extent->cluster_count = 0;
    memcpy(extent->spare, &spare, sizeof(spare));
}

static bool verify_number(VmaDigests *d, uint64_t number, GError **error)
{
    uint64_t expected = d->next;

    d->next = number;
    if (number == expected) {
        return true;
    }
    d->broken = true;
    backup_error_set_damaged(error, "it is extent number %" G_GUINT64_FORMAT
                             ", where %" G_GUINT64_FORMAT " should be", number,
                             expected);
    return false;
}

static bool verify_end_mark(VmaDigests *d, const VmaExtent *extent,
                            const Spare *spare, GError **error)
{
    uint8_t all[16];

    d->ended = true;
    if (!verify_number(d, GUINT64_FROM_BE(spare->number), error)) {
        return false;
    }
    store(all, XXH3_128bits_digest(d->all));
    if (extent->cluster_count > 0 ||
        (!d->broken && memcmp(all, spare->digest, sizeof(all)) != 0)) {
        backup_error_set_damaged(error, "the end mark does not match the "
                                 "archive");
        return false;
    }
    return true;
}

bool vma_digests_verify_place(VmaDigests *d, const VmaExtent *extent,
                              GError **error)
{
    Spare spare;
    bool ok;

    memcpy(&spare, extent->spare, sizeof(spare));
    if (d->ended) {
        backup_error_set_damaged(error, "it comes after the end mark");
        return false;
    }
    if (spare.kind == KIND_END) {
        return verify_end_mark(d, extent, &spare, error);
    }
    if (spare.kind != KIND_DATA) {
        backup_error_set_damaged(error, "it is neither data nor the end mark");
        return false;
    }
    ok = verify_number(d, GUINT64_FROM_BE(spare.number), error);
    d->next++;
    XXH3_128bits_update(d->all, spare.digest, sizeof(spare.digest));
    return ok;
}

static bool matches(const VmaExtent *extent, const Spare *spare,
                    const void *blocks)
{
    uint8_t digest[16];

    digest_blocks(digest, extent, blocks);
    return memcmp(digest, spare->digest, sizeof(digest)) == 0;
}

bool vma_digest_is_sealed(const VmaExtent *extent, const void *blocks)
{
    Spare spare;

    memcpy(&spare, extent->spare, sizeof(spare));
    return spare.kind == KIND_DATA && matches(extent, &spare, blocks);
}

bool vma_digests_verify_data(const VmaExtent *extent, const void *blocks,
                             GError **error)
{
    Spare spare;

    memcpy(&spare, extent->spare, sizeof(spare));
    if (spare.kind == KIND_END && extent->cluster_count == 0) {
        return true;            /* it has no blocks; its digest is of others */
    }
    if (!matches(extent, &spare, blocks)) {
        backup_error_set_damaged(error, "its data does not match its digest");
        return false;
    }
    return true;
}

bool vma_digests_verify_end(const VmaDigests *d, GError **error)
{
    if (!d->ended) {
        backup_error_set_incomplete(error, "the archive ends without its end "
                                    "mark: it was cut, or its writer died");
        return false;
    }
    return true;
}
