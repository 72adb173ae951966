/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of a compressed archive: what was put in is found, and what is
 * wrong with one from elsewhere.
 */
#include <string.h>
#include <xxhash.h>

#include "util.h"
#include "vma/seek-index.h"

#define HEADER_BYTES 8u         /* of the skippable frame */
#define FIRST_RUN (HEADER_BYTES + 88u)
#define RUN_BYTES 24u

static const uuid_t uuid = "0123456789abcde";

/* An archive as far as the index is concerned. */
typedef struct Layout {
    VmaSeekIndexBuilder *builder;
    IoZstdTable *table;         /* with the index once it was encoded */
    uint32_t fill;              /* of the frame to come */
    VmaExtent extent;
} Layout;

static Layout layout_new(uint32_t max_runs)
{
    Layout l = {
        .builder = vma_seek_index_builder_new(max_runs),
        .table = io_zstd_table_new(),
    };

    io_zstd_table_add(l.table, 200, 12800, NULL);
    return l;
}

static void layout_clear(Layout *l)
{
    vma_seek_index_builder_free(l->builder);
    io_zstd_table_free(l->table);
}

static void end_frame(Layout *l)
{
    if (l->fill > 0) {
        io_zstd_table_add(l->table, 100, l->fill, NULL);
        l->fill = 0;
    }
}

static void end_extent(Layout *l)
{
    vma_seek_index_builder_add(l->builder, &l->extent,
                               io_zstd_table_frames(l->table), l->fill);
    l->fill += sizeof(VmaExtentHeader) +
               l->extent.block_count * VMA_BLOCK_BYTES;
    l->extent.cluster_count = l->extent.block_count = 0;
}

static void add(Layout *l, uint8_t device_id, uint32_t number, uint16_t mask)
{
    l->extent.clusters[l->extent.cluster_count++] = (VmaCluster) {
        .device_id = device_id, .number = number, .mask = mask,
    };
    l->extent.block_count += vma_mask_blocks(mask);
    if (l->extent.cluster_count == VMA_CLUSTERS_PER_EXTENT) {
        end_extent(l);
    }
}

static GByteArray *encode(Layout *l)
{
    GByteArray *frame;

    end_frame(l);
    frame = vma_seek_index_builder_encode(l->builder, uuid, l->table);
    if (frame) {
        io_zstd_table_add(l->table, frame->len, 0, NULL);
    }
    return frame;
}

static VmaSeekIndex *decode(const Layout *l, const GByteArray *frame,
                            GError **error)
{
    return vma_seek_index_decode(g_bytes_new(frame->data + HEADER_BYTES,
                                             frame->len - HEADER_BYTES),
                                 l->table, error);
}

/* Two devices, 1 and 2, of some clusters; five runs. */
static Layout small_layout(void)
{
    Layout l = layout_new(100);

    for (unsigned i = 0; i < 4; i++) {
        add(&l, 1, i, i < 2 ? 0xffff : 0x8001);
    }
    add(&l, 1, 4, 0);
    end_extent(&l);
    end_frame(&l);
    add(&l, 2, 1, 0x0001);
    add(&l, 2, 0, 0);
    add(&l, 1, 5, 0);
    end_extent(&l);
    end_extent(&l);
    return l;
}

static void test_small(void)
{
    static const VmaSeekRun expected[] = {
        { 1, 0xffff, 0, 2, 0, 1, 0, 512 },
        { 1, 0x8001, 2, 2, 2, 1, 0, 512 + 32 * 4096 },
        { 1, 0, 4, 2, 0, 0, 0, 0 },
        { 2, 0, 0, 1, 0, 0, 0, 0 },
        { 2, 0x0001, 1, 1, 0, 2, 0, 512 },
    };
    Layout l = small_layout();
    g_autoptr(GByteArray) frame = encode(&l);
    g_autoptr(GError) error = NULL;
    g_autoptr(VmaSeekIndex) index = decode(&l, frame, &error);
    const VmaSeekTotals *totals;
    uint32_t i;

    g_assert_no_error(error);
    g_assert_cmpuint(frame->len, ==, FIRST_RUN + 5 * RUN_BYTES + 16);
    g_assert_cmpuint(vma_seek_index_runs(index), ==, 5);
    for (i = 0; i < 5; i++) {
        VmaSeekRun run = vma_seek_index_run(index, i);

        g_assert_true(run.device_id == expected[i].device_id &&
                      run.mask == expected[i].mask &&
                      run.number == expected[i].number &&
                      run.count == expected[i].count &&
                      run.slot == expected[i].slot &&
                      run.frame == expected[i].frame &&
                      run.extent_offset == expected[i].extent_offset &&
                      run.block_offset == expected[i].block_offset);
    }
    totals = vma_seek_index_totals(index);
    g_assert_cmpuint(totals->bytes, ==, 12800 + 3 * 512 + (36 + 1) * 4096);
    g_assert_cmpuint(totals->extents, ==, 3);
    g_assert_cmpuint(totals->clusters, ==, 8);
    g_assert_cmpuint(totals->blocks, ==, 37);
    g_assert_true(vma_seek_index_find(index, 1, 3, &i) && i == 1);
    g_assert_true(vma_seek_index_find(index, 1, 5, &i) && i == 2);
    g_assert_true(vma_seek_index_find(index, 2, 0, &i) && i == 3);
    g_assert_false(vma_seek_index_find(index, 1, 6, &i));
    g_assert_false(vma_seek_index_find(index, 2, 2, &i));
    g_assert_false(vma_seek_index_find(index, 0, 0, &i));
    g_assert_false(vma_seek_index_find(index, 3, 0, &i));
    layout_clear(&l);
}

typedef struct Place {
    uint16_t mask;
    uint8_t slot;
    uint32_t frame;
    uint32_t extent_offset;
    uint32_t block_offset;
} Place;

#define CLUSTERS 1000u

/* Every cluster of two devices, in an order of runs that R makes. */
static void add_shuffled(Layout *l, GRand *r, Place places[2][CLUSTERS])
{
    unsigned next[2] = { 0, 0 }, high[2] = { CLUSTERS, CLUSTERS };
    uint16_t mask = 0;

    /* From both ends of both towards their middles. */
    while (next[0] < high[0] || next[1] < high[1]) {
        unsigned d = next[0] == high[0] || (next[1] < high[1] &&
                                            g_rand_boolean(r));
        unsigned n = g_rand_int_range(r, 0, 5) ? next[d]++ : --high[d];

        if (g_rand_int_range(r, 0, 3) == 0) {
            mask = g_rand_int_range(r, 0, 3) ? g_rand_int(r) : 0;
        }
        places[d][n] = (Place) {
            .mask = mask,
            .slot = l->extent.cluster_count,
            .frame = io_zstd_table_frames(l->table),
            .extent_offset = l->fill,
            .block_offset = l->fill + 512 + 4096 * l->extent.block_count,
        };
        add(l, d ? 200 : 7, n, mask);
        if (l->fill > 10000000) {
            end_frame(l);
        }
    }
    end_extent(l);
}

/* What the index says of each cluster is where it was put. */
static void test_random(void)
{
    static Place places[2][CLUSTERS];

    for (unsigned seed = 0; seed < 50; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
        Layout l = layout_new(VMA_SEEK_INDEX_MAX_RUNS);
        g_autoptr(GByteArray) frame = NULL;
        g_autoptr(VmaSeekIndex) index = NULL;
        g_autoptr(GError) error = NULL;

        add_shuffled(&l, rand, places);
        frame = encode(&l);
        index = decode(&l, frame, &error);
        g_assert_no_error(error);
        for (unsigned k = 0; k < 2 * CLUSTERS; k++) {
            unsigned n = k % CLUSTERS;
            const Place *place = &places[k / CLUSTERS][n];
            VmaSeekRun run;
            uint32_t i, skip;

            g_assert_true(vma_seek_index_find(index, k / CLUSTERS ? 200 : 7, n,
                                              &i));
            run = vma_seek_index_run(index, i);
            skip = n - run.number;
            g_assert_cmpuint(skip, <, run.count);
            g_assert_cmpuint(run.mask, ==, place->mask);
            if (run.mask) {
                g_assert_cmpuint(run.frame, ==, place->frame);
                g_assert_cmpuint(run.extent_offset, ==, place->extent_offset);
                g_assert_cmpuint(run.slot + skip, ==, place->slot);
                g_assert_cmpuint(run.block_offset + skip * 4096 *
                                 vma_mask_blocks(run.mask), ==,
                                 place->block_offset);
            }
        }
        layout_clear(&l);
    }
}

/* Zeroes of a disk, between which another one's clusters come, are one run. */
static void test_sparse(void)
{
    const unsigned clusters = 1 << 20;
    Layout l = layout_new(3);
    g_autoptr(GByteArray) frame = NULL;
    g_autoptr(VmaSeekIndex) index = NULL;
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < clusters; i++) {
        add(&l, 1, i, 0);
        add(&l, 2, (i + 77) % clusters, 0);
    }
    end_extent(&l);
    frame = encode(&l);
    index = decode(&l, frame, &error);
    g_assert_no_error(error);
    /* The second one's start came late. */
    g_assert_cmpuint(vma_seek_index_runs(index), ==, 2);
    g_assert_cmpuint(vma_seek_index_run(index, 1).count, ==, clusters);
    layout_clear(&l);
}

/* All of the largest device: a count of 2^32. */
static void test_largest_device(void)
{
    Layout l = layout_new(10);
    g_autoptr(GByteArray) frame = NULL;
    g_autoptr(VmaSeekIndex) index = NULL;
    g_autoptr(GError) error = NULL;
    XXH128_canonical_t checksum;
    uint64_t clusters = GUINT64_TO_LE(UINT64_C(1) << 32);
    uint32_t i;

    add(&l, 1, 0, 0);
    end_extent(&l);
    frame = encode(&l);
    memset(frame->data + FIRST_RUN + 4, 0xff, 4);
    memcpy(frame->data + HEADER_BYTES + 48, &clusters, sizeof(clusters));
    XXH128_canonicalFromHash(&checksum, XXH3_128bits(
        frame->data + HEADER_BYTES, frame->len - HEADER_BYTES - 16));
    memcpy(frame->data + frame->len - 16, &checksum, 16);
    index = decode(&l, frame, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(vma_seek_index_run(index, 0).count, ==,
                     UINT64_C(1) << 32);
    g_assert_true(vma_seek_index_find(index, 1, UINT32_MAX, &i));
    layout_clear(&l);
}

static void test_too_many_runs(void)
{
    for (unsigned max = 4; max <= 5; max++) {
        Layout l = layout_new(max);
        g_autoptr(GByteArray) frame = NULL;

        for (unsigned i = 0; i < 5; i++) {
            add(&l, 1, i, i + 1);
        }
        end_extent(&l);
        frame = encode(&l);
        g_assert_true((frame != NULL) == (max == 5));
        layout_clear(&l);
    }
}

/* Bytes are put at OFFSET of the index, and its checksum made right again. */
static void assert_damage(unsigned offset, uint64_t value, unsigned bytes,
                          const char *words)
{
    Layout l = small_layout();
    g_autoptr(GByteArray) frame = encode(&l);
    g_autoptr(VmaSeekIndex) index = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t le = GUINT64_TO_LE(value);
    XXH128_canonical_t checksum;

    memcpy(frame->data + HEADER_BYTES + offset, &le, bytes);
    XXH128_canonicalFromHash(&checksum, XXH3_128bits(
        frame->data + HEADER_BYTES, frame->len - HEADER_BYTES - 16));
    memcpy(frame->data + frame->len - 16, &checksum, 16);
    index = decode(&l, frame, &error);
    g_assert_null(index);
    assert_kind(error, BACKUP_ERROR_DAMAGED);
    if (!strstr(error->message, words)) {
        g_error("offset %u: expected \"%s\", got: %s", offset, words,
                error->message);
    }
    layout_clear(&l);
}

static void test_fields(void)
{
    const unsigned run = 88;

    assert_damage(0, 'v', 1, "this is none");
    assert_damage(8, 2, 4, "this is none");
    assert_damage(12, 1, 4, "reserved field");
    assert_damage(32, 1, 8, "an archive of another size");
    assert_damage(40, 2, 8, "an archive of another size");
    assert_damage(40, UINT64_C(3) + (UINT64_C(1) << 55), 8, "another size");
    assert_damage(48, 9, 8, "totals");
    assert_damage(56, 36, 8, "an archive of another size");
    assert_damage(56, UINT64_C(37) + (UINT64_C(1) << 52), 8, "another size");
    assert_damage(64, 2, 4, "another number of frames");
    assert_damage(64, 0xffffffff, 4, "another number of frames");
    assert_damage(64, 0, 4, "another number of frames");
    assert_damage(68, 4, 4, "does not fit its runs");
    assert_damage(68, 6, 4, "does not fit its runs");
    assert_damage(68, 0xffffffff, 4, "does not fit its runs");
    assert_damage(72, 0, 1, "does not match its digest");

    assert_damage(run, 2, 4, "run 0 ends before it begins");
    assert_damage(run + 4, 2, 4, "goes past the end of its frame");
    assert_damage(run + 2 * 24, 3, 4, "run 2 is out of order");
    assert_damage(run + 2 * 24, 0, 4, "run 2 is out of order");
    assert_damage(run + 3 * 24 + 20, 1, 1, "run 3 is out of order");
    assert_damage(run + 4, 58, 4, "goes past the end of its frame");
    assert_damage(run + 4, 59, 4, "longer than an extent");
    assert_damage(run + 4, 0xffffffff, 4, "longer than an extent");
    assert_damage(run + 8, 0, 4, "in no frame with extents");
    assert_damage(run + 8, 3, 4, "in no frame with extents");
    assert_damage(run + 8, 0xffffffff, 4, "in no frame with extents");
    assert_damage(run + 12, 1, 4, "at no place for an extent");
    assert_damage(run + 12, 0xfffffe00, 4, "past the end of its frame");
    assert_damage(run + 16, 1, 2, "more blocks before it than fit");
    assert_damage(run + 24 + 16, 33, 2, "more blocks before it than fit");
    assert_damage(run + 18, 0, 2, "run 0 of zeroes has a place");
    assert_damage(run + 18, 0x7fff, 2, "totals");
    assert_damage(run + 20, 0, 1, "of no device");
    assert_damage(run + 20, 255, 1, "of no device");
    assert_damage(run + 20, 2, 1, "run 1 is out of order");
    assert_damage(run + 21, 58, 1, "longer than an extent");
    assert_damage(run + 22, 1, 2, "reserved");
    for (unsigned field = 8; field < 22; field += field == 16 ? 5 : 4) {
        assert_damage(run + 2 * 24 + field, 1, 1, "of zeroes has a place");
    }
}

static void test_cuts_and_flips(void)
{
    Layout l = small_layout();
    g_autoptr(GByteArray) frame = encode(&l);
    const unsigned bytes = frame->len;

    for (unsigned cut = HEADER_BYTES; cut < bytes; cut++) {
        g_autoptr(GError) error = NULL;

        frame->len = cut;
        g_assert_null(decode(&l, frame, &error));
        assert_kind(error, BACKUP_ERROR_DAMAGED);
    }
    frame->len = bytes;
    for (unsigned bit = HEADER_BYTES * 8; bit < bytes * 8; bit++) {
        g_autoptr(GError) error = NULL;

        frame->data[bit / 8] ^= 1 << bit % 8;
        g_assert_null(decode(&l, frame, &error));
        assert_kind(error, BACKUP_ERROR_DAMAGED);
        frame->data[bit / 8] ^= 1 << bit % 8;
    }
    layout_clear(&l);
}

/* A table that differs in one number is not the one it was made for. */
static void test_other_table(void)
{
    Layout l = small_layout();
    g_autoptr(GByteArray) frame = encode(&l);

    for (unsigned k = 0; k < 6; k++) {
        g_autoptr(IoZstdTable) other = io_zstd_table_new();
        g_autoptr(GError) error = NULL;
        Layout with_other = { .table = other };

        for (unsigned i = 0; i < 4; i++) {
            IoZstdFrame f = io_zstd_table_frame(l.table, i);

            io_zstd_table_add(other, f.bytes + (k == 2 * i),
                              f.content_bytes + (k == 2 * i + 1), NULL);
        }
        g_assert_null(decode(&with_other, frame, &error));
        assert_kind(error, BACKUP_ERROR_DAMAGED);
    }
    layout_clear(&l);
}

static BackupInfo *small_info(uint64_t size_1, uint64_t size_2)
{
    BackupInfo *info = backup_info_new();

    uuid_copy(info->uuid, uuid);
    if (size_1) {
        backup_info_add_device(info, 1, "one", size_1);
    }
    if (size_2) {
        backup_info_add_device(info, 2, "two", size_2);
    }
    return info;
}

static void assert_match(BackupInfo *info_taken, const char *words)
{
    g_autoptr(BackupInfo) info = info_taken;
    Layout l = small_layout();
    g_autoptr(GByteArray) frame = encode(&l);
    g_autoptr(VmaSeekIndex) index = decode(&l, frame, NULL);
    g_autoptr(GError) error = NULL;

    if (vma_seek_index_matches(index, info, &error)) {
        g_assert_null(words);
    } else {
        assert_kind(error, BACKUP_ERROR_DAMAGED);
        g_assert_nonnull(words);
        g_assert_nonnull(strstr(error->message, words));
    }
    layout_clear(&l);
}

static void test_matches(void)
{
    const uint64_t c = VMA_CLUSTER_BYTES;
    BackupInfo *other = small_info(6 * c, 2 * c);

    other->uuid[0] ^= 1;
    assert_match(other, "uuid");
    assert_match(small_info(6 * c, 2 * c), NULL);
    assert_match(small_info(5 * c + 512, c + 512), NULL);
    assert_match(small_info(7 * c, 2 * c), "'one' has missing clusters");
    assert_match(small_info(5 * c, 2 * c), "'one' has clusters past its end");
    assert_match(small_info(6 * c, 3 * c), "'two' has missing clusters");
    assert_match(small_info(6 * c, 0), "a device that is not there");
    assert_match(small_info(0, 2 * c), "'two' has missing clusters");
}

/* As many clusters as the device has, and yet not those. */
static void test_gap(void)
{
    Layout l = layout_new(10);
    g_autoptr(BackupInfo) info = small_info(3 * VMA_CLUSTER_BYTES, 0);
    g_autoptr(VmaSeekIndex) index = NULL;
    g_autoptr(GByteArray) frame = NULL;
    g_autoptr(GError) error = NULL;

    add(&l, 1, 0, 1);
    add(&l, 1, 2, 0);
    add(&l, 1, 3, 0);
    end_extent(&l);
    frame = encode(&l);
    index = decode(&l, frame, &error);
    g_assert_no_error(error);
    g_assert_false(vma_seek_index_matches(index, info, &error));
    assert_kind(error, BACKUP_ERROR_DAMAGED);
    layout_clear(&l);
}

/* A block past the end of the last cluster; all of them are suffered. */
static void test_blocks_past_end(void)
{
    static const uint16_t masks[] = { 0x0001, 0x0003, 0x0002, 0xffff };

    for (unsigned i = 0; i < G_N_ELEMENTS(masks); i++) {
        Layout l = layout_new(10);
        g_autoptr(BackupInfo) info = small_info(4096, 0);
        g_autoptr(VmaSeekIndex) index = NULL;
        g_autoptr(GByteArray) frame = NULL;

        add(&l, 1, 0, masks[i]);
        end_extent(&l);
        frame = encode(&l);
        index = decode(&l, frame, NULL);
        g_assert_true(vma_seek_index_matches(index, info, NULL) ==
                      (i == 0 || i == 3));
        layout_clear(&l);
    }
}

/* For the first extent of the small layout, and what looks like it. */
static bool verifies(const VmaSeekIndex *index, const VmaExtent *extent,
                     uint32_t frame, uint64_t extent_offset)
{
    g_autoptr(GError) error = NULL;
    bool ok = vma_seek_index_verify_extent(index, extent, frame, extent_offset,
                                           &error);

    if (!ok) {
        assert_kind(error, BACKUP_ERROR_DAMAGED);
    }
    return ok;
}

static void test_verify_extent(void)
{
    static const VmaExtent right = {
        .block_count = 36,
        .cluster_count = 6,
        .clusters = {
            { 1, 0xffff, 0, 0, 0 }, { 1, 0xffff, 1, 16, 1 },
            { 1, 0x8001, 2, 32, 2 }, { 1, 0x8001, 3, 34, 3 },
            { 1, 0, 4, 36, 4 },
            /* Behind the end of all devices. */
            { 2, 0, 63, 36, 5 },
        },
    };
    Layout l = small_layout();
    g_autoptr(GByteArray) frame = encode(&l);
    g_autoptr(VmaSeekIndex) index = decode(&l, frame, NULL);
    VmaExtent extent = right;

    g_assert_true(verifies(index, &extent, 1, 0));
    g_assert_false(verifies(index, &extent, 2, 0));
    g_assert_false(verifies(index, &extent, 1, 512));
    for (unsigned i = 0; i < right.cluster_count; i++) {
        VmaCluster *c = &extent.clusters[i];

        *c = right.clusters[i];
        c->mask ^= 2;
        g_assert_false(verifies(index, &extent, 1, 0));
        *c = right.clusters[i];
        c->first_block++;
        g_assert_true(verifies(index, &extent, 1, 0) == (c->mask == 0));
        *c = right.clusters[i];
        c->slot++;
        g_assert_true(verifies(index, &extent, 1, 0) == (c->mask == 0));
        *c = right.clusters[i];
        c->device_id = 3;
        g_assert_true(verifies(index, &extent, 1, 0) == (c->mask == 0));
        *c = right.clusters[i];
        c->number++;
        g_assert_true(verifies(index, &extent, 1, 0) == (c->mask == 0));
        *c = right.clusters[i];
    }
    layout_clear(&l);
}

/* From a file that holds frames of the right sizes, or nothing. */
static void test_read(void)
{
    Layout l = small_layout();
    g_autoptr(GByteArray) frame = encode(&l);
    g_autoptr(GByteArray) file = g_byte_array_new();
    uint32_t last = io_zstd_table_frames(l.table) - 1;
    uint64_t offset = io_zstd_table_frame(l.table, last).offset;
    g_autoptr(VmaSeekIndex) index = NULL;
    g_autoptr(GError) error = NULL;
    int fd;

    g_byte_array_set_size(file, offset);
    g_byte_array_append(file, frame->data, frame->len);
    fd = fd_of_bytes(file->data, file->len);
    g_assert_true(vma_seek_index_read(fd, l.table, &index, &error));
    g_assert_cmpuint(vma_seek_index_runs(index), ==, 5);
    g_clear_pointer(&index, vma_seek_index_free);

    /*
     * A wrong magic number or version is damage where all else is right, and
     * otherwise as if there was none.
     */
    for (unsigned i = 0; i < HEADER_BYTES + 12; i++) {
        uint8_t flip = 0x80 ^ frame->data[i];

        if (i >= 4 && i < 8) {
            continue;
        }
        g_assert_cmpint(pwrite(fd, &flip, 1, offset + i), ==, 1);
        g_assert_false(vma_seek_index_read(fd, l.table, &index, &error));
        assert_kind(error, BACKUP_ERROR_DAMAGED);
        g_clear_error(&error);
        flip = ~file->data[file->len - 1];
        g_assert_cmpint(pwrite(fd, &flip, 1, file->len - 1), ==, 1);
        g_assert_true(vma_seek_index_read(fd, l.table, &index, &error));
        g_assert_null(index);
        g_assert_cmpint(pwrite(fd, file->data + file->len - 1, 1,
                               file->len - 1), ==, 1);
        g_assert_cmpint(pwrite(fd, frame->data + i, 1, offset + i), ==, 1);
    }
    /* Another size is damage. */
    g_assert_cmpint(pwrite(fd, "\7", 1, offset + 4), ==, 1);
    g_assert_false(vma_seek_index_read(fd, l.table, &index, &error));
    assert_kind(error, BACKUP_ERROR_DAMAGED);
    close(fd);
    layout_clear(&l);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/seek-index/small", test_small);
    g_test_add_func("/seek-index/random-clusters-are-found", test_random);
    g_test_add_func("/seek-index/zeroes-are-one-run", test_sparse);
    g_test_add_func("/seek-index/largest-device", test_largest_device);
    g_test_add_func("/seek-index/too-many-runs-make-none", test_too_many_runs);
    g_test_add_func("/seek-index/every-field-is-checked", test_fields);
    g_test_add_func("/seek-index/cuts-and-flips-are-found",
                    test_cuts_and_flips);
    g_test_add_func("/seek-index/the-seek-table-is-checked", test_other_table);
    g_test_add_func("/seek-index/must-match-the-archive", test_matches);
    g_test_add_func("/seek-index/gap-is-found", test_gap);
    g_test_add_func("/seek-index/blocks-past-the-end", test_blocks_past_end);
    g_test_add_func("/seek-index/is-compared-with-extents",
                    test_verify_extent);
    g_test_add_func("/seek-index/read-from-a-file", test_read);
    return g_test_run();
}
