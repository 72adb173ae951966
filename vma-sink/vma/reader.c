/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads an archive front to back, with one extent in memory, and, where no
 * digest says that it is right, the header of the one behind it: a header that
 * is not where it should be shows that bytes of the extent are missing, or are
 * too many.
 */
#include "vma/reader.h"

#include <string.h>

#include "backup/error.h"
#include "vma/header.h"
#include "vma/window.h"

#define EXTENT_HEADER_BYTES sizeof(VmaExtentHeader)
#define EXTENT_AND_NEXT_BYTES (VMA_EXTENT_MAX_BYTES + EXTENT_HEADER_BYTES)
/*
 * In an archive made to waste time there could be a header every 512 bytes,
 * each of an extent of the largest size whose digest has to be computed.  After
 * so many bad extents the rest of one is passed over unseen.
 */
#define SEARCHES_MAX 1000u

struct VmaReader {
    BackupInfo *info;
    const BackupDevice *devices[VMA_DEVICES];   /* of info; NULL: none */
    VmaDigestKind digest_kind;
    size_t header_bytes;
    VmaDigests *digests;        /* NULL unless the kind is known */

    /* Its current place is where the current extent begins. */
    VmaWindow window;
    VmaExtent extent;
    size_t extent_bytes;        /* by its header; 0: that is bad, or none yet */
    size_t taken_bytes;         /* of the window, before the next extent */
    bool followed;
    unsigned searches;          /* within bad extents */
};

/* For errors of the input itself. */
static bool read_failed(uint64_t offset, GError **error)
{
    g_prefix_error(error, "cannot read the archive at offset %"
                   G_GUINT64_FORMAT ": ", offset);
    return false;
}

/* The header, of the size that its fixed part tells, into the window. */
static bool read_header(VmaReader *r, size_t *bytes, GError **error)
{
    VmaWindow *w = &r->window;
    size_t have;

    if (!vma_window_fill(w, sizeof(VmaHeader), error)) {
        return read_failed(0, error);
    }
    have = vma_window_bytes(w);
    if (have < sizeof(VmaHeader)) {
        if (memcmp(vma_window_data(w), VMA_MAGIC, MIN(have, 4)) != 0) {
            backup_error_set_damaged(error, "not a VMA archive");
        } else {
            vma_extent_set_cut(error, "its header", have);
        }
        return false;
    }
    if (!vma_header_size((VmaHeader *)vma_window_data(w), bytes, error)) {
        return false;
    }
    if (!vma_window_fill(w, *bytes, error)) {
        return read_failed(vma_window_bytes(w), error);
    }
    if (vma_window_bytes(w) < *bytes) {
        vma_extent_set_cut(error, "its header", vma_window_bytes(w));
        return false;
    }
    return true;
}

/* Whether the archive has digests, where the mark may be damaged. */
static VmaDigestKind find_digests(const VmaHeader *header,
                                  VmaExtentHeader *first, size_t bytes)
{
    VmaExtent extent;
    bool whole = vma_extent_decode(first, header->uuid, &extent, NULL) &&
                 bytes >= EXTENT_HEADER_BYTES + (size_t)extent.block_count *
                                                VMA_BLOCK_BYTES;

    return whole && vma_digest_is_sealed(&extent, first + 1)
           ? VMA_DIGEST_XXH3 : vma_digest_find_mark(header);
}

/*
 * A header whose checksum or size is wrong.  That an extent with its uuid
 * follows shows that it was one, and where it ends at the latest.
 */
static bool salvage_header(VmaReader *r, size_t *bytes, GPtrArray *findings,
                           GError **error)
{
    VmaWindow *w = &r->window;
    size_t have = MIN(vma_window_bytes(w), VMA_HEADER_MAX_BYTES);
    size_t most = have + EXTENT_AND_NEXT_BYTES;
    size_t rest, first;
    uint8_t *data;

    if (!vma_window_fill(w, most, error)) {
        return read_failed(have, error);
    }
    data = vma_window_data(w);
    rest = MIN(vma_window_bytes(w), most) - sizeof(VmaHeader);
    if (!vma_extent_find(data + sizeof(VmaHeader), rest,
                         ((VmaHeader *)data)->uuid, &first)) {
        backup_error_set_damaged(error, "no extent of this archive follows");
        return false;
    }
    if (!vma_header_size((VmaHeader *)data, bytes, NULL) ||
        *bytes > sizeof(VmaHeader) + first) {
        *bytes = sizeof(VmaHeader) + first;
    }
    r->digest_kind = find_digests(
        (VmaHeader *)data,
        (VmaExtentHeader *)(data + sizeof(VmaHeader) + first), rest - first);
    r->info = vma_header_decode_damaged(data, *bytes, findings, error);
    return r->info != NULL;
}

/* Only magic and version tell that this is a header at all. */
static bool can_salvage(const VmaReader *r)
{
    const VmaHeader *header = (VmaHeader *)vma_window_data(&r->window);

    return vma_window_bytes(&r->window) >= sizeof(*header) &&
           memcmp(header->magic, VMA_MAGIC, sizeof(header->magic)) == 0 &&
           GUINT32_FROM_BE(header->version) == VMA_VERSION;
}

/* FINDINGS: see vma_reader_new_damaged(); NULL: a wrong header is an error. */
static bool decode_header(VmaReader *r, size_t *bytes, GPtrArray *findings,
                          GError **error)
{
    g_autoptr(GError) wrong = NULL;
    g_autoptr(GError) why = NULL;
    uint8_t *data;

    if (read_header(r, bytes, &wrong)) {
        data = vma_window_data(&r->window);
        r->digest_kind = vma_digest_find_mark((VmaHeader *)data);
        r->info = vma_header_decode(data, *bytes, &wrong);
        if (r->info) {
            return true;
        }
    }
    if (!findings || wrong->code == BACKUP_ERROR_FAILED || !can_salvage(r)) {
        g_propagate_error(error, g_steal_pointer(&wrong));
        return false;
    }
    g_ptr_array_add(findings, g_strdup_printf(
        "%s: names and sizes of disks, configs, and what is said to be missing "
        "may be wrong", wrong->message));
    if (salvage_header(r, bytes, findings, &why)) {
        return true;
    }
    g_set_error(error, BACKUP_ERROR, why->code == BACKUP_ERROR_FAILED
                                     ? why->code : wrong->code,
                "%s; nothing can be salvaged without it, for %s (is there "
                "another copy of the archive?)", wrong->message, why->message);
    return false;
}

static VmaReader *reader_new(IoInput *input, GPtrArray *findings, GError **error)
{
    g_autoptr(VmaReader) r = g_new0(VmaReader, 1);
    size_t bytes;

    vma_window_init(&r->window, input, 2 * EXTENT_AND_NEXT_BYTES);
    if (!decode_header(r, &bytes, findings, error)) {
        return NULL;
    }
    r->taken_bytes = bytes;
    r->header_bytes = bytes;
    if (r->digest_kind == VMA_DIGEST_XXH3) {
        r->digests = vma_digests_new();
    }
    for (guint i = 0; i < r->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(r->info->devices, i);

        r->devices[device->id] = device;
    }
    return g_steal_pointer(&r);
}

VmaReader *vma_reader_new(IoInput *input, GError **error)
{
    return reader_new(input, NULL, error);
}

VmaReader *vma_reader_new_damaged(IoInput *input, GPtrArray *findings,
                                  GError **error)
{
    return reader_new(input, findings, error);
}

void vma_reader_free(VmaReader *r)
{
    if (r) {
        backup_info_free(r->info);
        vma_digests_free(r->digests);
        vma_window_clear(&r->window);
        g_free(r);
    }
}

uint64_t vma_reader_header_bytes(const VmaReader *r)
{
    return r->header_bytes;
}

const BackupInfo *vma_reader_info(const VmaReader *r)
{
    return r->info;
}

const BackupDevice *vma_reader_device(const VmaReader *r, uint8_t id)
{
    return r->devices[id];
}

VmaDigestKind vma_reader_digest_kind(const VmaReader *r)
{
    return r->digest_kind;
}

bool vma_reader_verify_place(VmaReader *r, GError **error)
{
    return !r->digests ||
           vma_digests_verify_place(r->digests, &r->extent, error);
}

static const uint8_t *extent_blocks(const VmaReader *r)
{
    return vma_window_data(&r->window) + EXTENT_HEADER_BYTES;
}

bool vma_reader_is_followed(const VmaReader *r)
{
    return r->followed;
}

uint64_t vma_reader_offset(const VmaReader *r)
{
    return r->window.offset;
}

const uint8_t *vma_reader_blocks(const VmaReader *r, const VmaCluster *cluster)
{
    return extent_blocks(r) + (size_t)cluster->first_block * VMA_BLOCK_BYTES;
}

/*
 * Whether these bytes are the end of the archive or the start of an extent, the
 * header of which may be damaged: it keeps its magic or its uuid.
 */
static bool can_follow(const VmaReader *r, const uint8_t *data, size_t bytes)
{
    const VmaExtentHeader *header = (const VmaExtentHeader *)data;

    return memcmp(data, VMA_EXTENT_MAGIC, MIN(bytes, 4)) == 0 ||
           (bytes >= EXTENT_HEADER_BYTES &&
            memcmp(header->uuid, r->info->uuid, sizeof(uuid_t)) == 0);
}

/*
 * Whether another extent begins within the current one, bytes of which are
 * missing then.  With digests it is asked only where there is no other sign.
 */
static bool find_within(VmaReader *r, size_t *at)
{
    size_t bytes = MIN(vma_window_bytes(&r->window),
                       r->extent_bytes + EXTENT_HEADER_BYTES - 1);
    bool found = vma_extent_find((uint8_t *)extent_blocks(r),
                                 bytes - EXTENT_HEADER_BYTES, r->info->uuid,
                                 at);

    *at += EXTENT_HEADER_BYTES;
    return found;
}

/* Whether it is followed; fewer bytes than it has: it is cut. */
static bool look_behind(VmaReader *r, GError **error)
{
    VmaWindow *w = &r->window;
    size_t have;

    if (!vma_window_fill(w, r->extent_bytes + EXTENT_HEADER_BYTES, error)) {
        return read_failed(w->offset, error);
    }
    have = vma_window_bytes(w);
    r->followed = have >= r->extent_bytes &&
                  can_follow(r, vma_window_data(w) + r->extent_bytes,
                             MIN(have - r->extent_bytes, EXTENT_HEADER_BYTES));
    return true;
}

bool vma_reader_verify_data(VmaReader *r, GError **error)
{
    g_autoptr(GError) wrong = NULL;

    if (!r->digests ||
        vma_digests_verify_data(&r->extent, extent_blocks(r), &wrong)) {
        return true;
    }
    if (look_behind(r, error)) {
        g_propagate_error(error, g_steal_pointer(&wrong));
    }
    return false;
}

/* The extent whose header has been decoded. */
static VmaNext read_blocks(VmaReader *r, const VmaExtent **extent,
                           GError **error)
{
    VmaWindow *w = &r->window;
    size_t have, within;

    r->extent_bytes = EXTENT_HEADER_BYTES +
                      (size_t)r->extent.block_count * VMA_BLOCK_BYTES;
    r->followed = false;
    if (!r->digests) {
        if (!look_behind(r, error)) {
            return VMA_NEXT_ERROR;
        }
    } else if (!vma_window_fill(w, r->extent_bytes, error)) {
        read_failed(w->offset, error);
        return VMA_NEXT_ERROR;
    }
    have = vma_window_bytes(w);
    if (!r->followed && (!r->digests || have < r->extent_bytes) &&
        find_within(r, &within)) {
        backup_error_set_damaged(error, "extent at offset %" G_GUINT64_FORMAT
                                 ": bytes of it are missing: another one "
                                 "begins within it, at offset %"
                                 G_GUINT64_FORMAT, w->offset,
                                 w->offset + within);
        return VMA_NEXT_ERROR;
    }
    if (have < r->extent_bytes) {
        vma_extent_set_cut(error, "an extent", w->offset + have);
        return VMA_NEXT_ERROR;
    }
    r->taken_bytes = r->extent_bytes;
    *extent = &r->extent;
    return VMA_NEXT_EXTENT;
}

/* The input ends where an extent could begin. */
static VmaNext at_end(VmaReader *r, GError **error)
{
    return !r->digests || vma_digests_verify_end(r->digests, error)
           ? VMA_NEXT_END : VMA_NEXT_ERROR;
}

VmaNext vma_reader_next(VmaReader *r, const VmaExtent **extent, GError **error)
{
    VmaWindow *w = &r->window;

    vma_window_skip(w, r->taken_bytes);
    r->taken_bytes = 0;
    r->extent_bytes = 0;
    if (!vma_window_fill(w, EXTENT_HEADER_BYTES, error)) {
        read_failed(w->offset, error);
        return VMA_NEXT_ERROR;
    }
    if (vma_window_bytes(w) == 0) {
        return at_end(r, error);
    }
    if (vma_window_bytes(w) < EXTENT_HEADER_BYTES) {
        vma_extent_set_short(error, vma_window_data(w), vma_window_bytes(w),
                             w->offset);
        return VMA_NEXT_ERROR;
    }
    if (!vma_extent_decode((VmaExtentHeader *)vma_window_data(w),
                           r->info->uuid, &r->extent, error)) {
        g_prefix_error(error, "extent at offset %" G_GUINT64_FORMAT ": ",
                       w->offset);
        return VMA_NEXT_ERROR;
    }
    return read_blocks(r, extent, error);
}

/* How many bytes of the bad extent no other one can begin in. */
static size_t first_to_search(VmaReader *r)
{
    if (r->extent_bytes == 0) {
        return 1;
    }
    return !r->digests || ++r->searches <= SEARCHES_MAX
           ? EXTENT_HEADER_BYTES
           : MIN(r->extent_bytes, vma_window_bytes(&r->window));
}

bool vma_reader_resync(VmaReader *r, uint64_t *skipped, GError **error)
{
    VmaWindow *w = &r->window;
    uint64_t from = w->offset;
    size_t pass = first_to_search(r);
    bool found;

    r->taken_bytes = 0;
    do {
        vma_window_skip(w, pass);
        if (!vma_window_fill(w, EXTENT_AND_NEXT_BYTES, error)) {
            return read_failed(w->offset, error);
        }
        found = vma_extent_find(vma_window_data(w), vma_window_bytes(w),
                                r->info->uuid, &pass);
    } while (!found && vma_window_bytes(w) >= EXTENT_HEADER_BYTES);
    vma_window_skip(w, found ? pass : vma_window_bytes(w));
    *skipped = w->offset - from;
    return true;
}
