/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of an archive, against a table that has every block.
 */
#include <string.h>

#include "util.h"
#include "vma/index.h"

#define DEVICES 3
#define CLUSTERS 300u
#define BLOCKS (CLUSTERS * VMA_BLOCKS_PER_CLUSTER)

/* What is true of each device, with ids from 1. */
typedef struct Truth {
    uint16_t masks[DEVICES][CLUSTERS];
    uint64_t extent_offsets[DEVICES][CLUSTERS];
    uint16_t first_blocks[DEVICES][CLUSTERS];
    unsigned extents_with_data;
    unsigned data_clusters;
} Truth;

static uint16_t some_mask(GRand *rand)
{
    switch (g_rand_int_range(rand, 0, 4)) {
    case 0:
        return 0;
    case 1:
        return 0xffff;
    case 2:
        return 1u << g_rand_int_range(rand, 0, 16);
    default:
        return g_rand_int(rand);
    }
}

/* All clusters of all devices in a random order, in extents of a few. */
static VmaIndex *make_index(Truth *truth, uint32_t seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    VmaIndex *index = vma_index_new();
    unsigned order[DEVICES * CLUSTERS];
    unsigned i = 0;

    memset(truth, 0, sizeof(*truth));
    for (unsigned n = 0; n < G_N_ELEMENTS(order); n++) {
        unsigned other = g_rand_int_range(rand, 0, n + 1);

        order[n] = order[other];
        order[other] = n;
    }
    while (i < G_N_ELEMENTS(order)) {
        unsigned count = MIN((unsigned)g_rand_int_range(rand, 1, 60),
                             G_N_ELEMENTS(order) - i);
        uint64_t offset = UINT64_C(5000000000) * (i + 1);
        VmaExtent extent = { .cluster_count = count };

        for (unsigned k = 0; k < count; k++, i++) {
            unsigned d = order[i] / CLUSTERS, c = order[i] % CLUSTERS;

            truth->masks[d][c] = some_mask(rand);
            truth->extent_offsets[d][c] = offset;
            truth->first_blocks[d][c] = extent.block_count;
            truth->data_clusters += truth->masks[d][c] != 0;
            extent.clusters[k] = (VmaCluster) {
                .device_id = d + 1,
                .mask = truth->masks[d][c],
                .number = c,
                .first_block = extent.block_count,
            };
            extent.block_count += vma_mask_blocks(truth->masks[d][c]);
        }
        truth->extents_with_data += extent.block_count > 0;
        g_assert_true(vma_index_add(index, offset, &extent, NULL));
    }
    vma_index_finish(index);
    return index;
}

static void test_find(void)
{
    Truth truth;
    g_autoptr(VmaIndex) index = make_index(&truth, 1);

    g_assert_cmpuint(vma_index_extents(index), ==, truth.extents_with_data);
    for (unsigned d = 0; d < DEVICES; d++) {
        for (unsigned c = 0; c < CLUSTERS; c++) {
            VmaPlace place;
            bool found = vma_index_find(index, d + 1, c, &place);

            g_assert_cmpint(found, ==, truth.masks[d][c] != 0);
            if (found) {
                g_assert_cmphex(place.mask, ==, truth.masks[d][c]);
                g_assert_cmpuint(place.extent_offset, ==,
                                 truth.extent_offsets[d][c]);
                g_assert_cmpuint(place.first_block, ==,
                                 truth.first_blocks[d][c]);
            }
        }
    }
}

static bool is_stored(const Truth *truth, unsigned d, unsigned block)
{
    return truth->masks[d][block / 16] >> block % 16 & 1;
}

/* From every block the run goes as far as it really does. */
static void test_runs(void)
{
    for (uint32_t seed = 1; seed <= 5; seed++) {
        Truth truth;
        g_autoptr(VmaIndex) index = make_index(&truth, seed);

        for (unsigned from = 0; from < BLOCKS; from++) {
            bool stored = is_stored(&truth, 0, from);
            unsigned to = from;
            uint64_t end;

            while (to < BLOCKS && is_stored(&truth, 0, to) == stored) {
                to++;
            }
            g_assert_cmpint(vma_index_run(
                index, 1, (uint64_t)from * VMA_BLOCK_BYTES,
                (uint64_t)BLOCKS * VMA_BLOCK_BYTES - 100, &end), ==, stored);
            g_assert_cmpuint(end, ==, (uint64_t)to * VMA_BLOCK_BYTES);
        }
    }
}

static void test_limit(void)
{
    Truth truth;
    g_autoptr(VmaIndex) index = make_index(&truth, 1);
    uint64_t end;

    vma_index_run(index, 1, 8192, 8193, &end);
    g_assert_cmpuint(end, ==, 12288);
    /* A device without data, up to the largest size there is. */
    g_assert_false(vma_index_run(index, 9, 4096, VMA_DEVICE_MAX_BYTES, &end));
    g_assert_cmpuint(end, ==, VMA_DEVICE_MAX_BYTES);
}

/* A long way without data takes no time, and its end is seen. */
static void test_far(void)
{
    g_autoptr(VmaIndex) index = vma_index_new();
    VmaExtent extent = {
        .block_count = 2,
        .cluster_count = 1,
        .clusters = { { 7, 0x0a00, UINT32_MAX, 0, 0 } },
    };
    uint64_t base = (uint64_t)UINT32_MAX * VMA_CLUSTER_BYTES;
    uint64_t end;

    g_assert_true(vma_index_add(index, 512, &extent, NULL));
    vma_index_finish(index);
    g_assert_false(vma_index_run(index, 7, 0, VMA_DEVICE_MAX_BYTES, &end));
    g_assert_cmpuint(end, ==, base + 9 * VMA_BLOCK_BYTES);
    g_assert_true(vma_index_run(index, 7, end, VMA_DEVICE_MAX_BYTES, &end));
    g_assert_cmpuint(end, ==, base + 10 * VMA_BLOCK_BYTES);
    g_assert_cmpuint(vma_index_end(index, 7), ==, base + 12 * VMA_BLOCK_BYTES);
    g_assert_cmpuint(vma_index_end(index, 8), ==, 0);
}

/* Numbers that differ in their lower bits, their upper ones, or both. */
static void test_order(void)
{
    static const uint32_t numbers[] = {
        0x00030002, 0xffffffff, 0x00020003, 0x00000000, 0x80000000,
        0x00030001, 0xffff0000, 0x0000ffff, 0x00020004, 0x00010000,
    };
    g_autoptr(VmaIndex) index = vma_index_new();
    VmaExtent extent = { .cluster_count = G_N_ELEMENTS(numbers) };
    unsigned found = 0;
    uint32_t number;
    VmaPlace place;

    for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++) {
        extent.clusters[i] = (VmaCluster) {
            .device_id = 1,
            .mask = 1,
            .number = numbers[i],
            .first_block = extent.block_count++,
            .slot = i,
        };
    }
    g_assert_true(vma_index_add(index, 512, &extent, NULL));
    vma_index_finish(index);
    for (uint64_t from = 0; vma_index_next(index, 1, from, &number, &place);
         from = (uint64_t)number + 1) {
        g_assert_cmphex(number, >=, from);
        g_assert_cmphex(number, ==, numbers[place.first_block]);
        found++;
    }
    g_assert_cmpuint(found, ==, G_N_ELEMENTS(numbers));
}

/* Zeroes cost nothing, whatever there is of them. */
static void test_memory(void)
{
    Truth truth;
    g_autoptr(VmaIndex) index = make_index(&truth, 1);
    g_autoptr(VmaIndex) zeroes = vma_index_new();
    size_t empty = vma_index_bytes(zeroes);
    VmaExtent extent = { .cluster_count = 59 };

    g_assert_cmpuint(vma_index_bytes(index), ==,
                     empty + 16 * truth.data_clusters +
                     8 * truth.extents_with_data);
    for (unsigned i = 0; i < 59; i++) {
        extent.clusters[i] = (VmaCluster) { .device_id = 1, .number = i };
    }
    g_assert_true(vma_index_add(zeroes, 0, &extent, NULL));
    g_assert_cmpuint(vma_index_bytes(zeroes), ==, empty);
}

/* What is not in the index, where it says, is told apart. */
static void test_check(void)
{
    g_autoptr(VmaIndex) index = vma_index_new();
    VmaExtent extent = {
        .block_count = 1,
        .cluster_count = 1,
        .clusters = { { 7, 1, 5, 0, 0 } },
    };
    VmaCluster cluster = extent.clusters[0];
    VmaPlace place;

    g_assert_true(vma_index_add(index, 512, &extent, NULL));
    vma_index_finish(index);
    g_assert_true(vma_index_find(index, 7, 5, &place));
    g_assert_cmpuint(place.check, ==, 0);
    g_assert_true(vma_index_has(index, 0, &cluster));
    vma_index_set_check(index, &cluster, 42);
    g_assert_true(vma_index_find(index, 7, 5, &place));
    g_assert_cmpuint(place.check, ==, 42);
    g_assert_false(vma_index_has(index, 1, &cluster));
    cluster.mask = 3;
    g_assert_false(vma_index_has(index, 0, &cluster));
    cluster = extent.clusters[0];
    cluster.first_block = 1;
    g_assert_false(vma_index_has(index, 0, &cluster));
    cluster = extent.clusters[0];
    cluster.slot = 1;
    g_assert_false(vma_index_has(index, 0, &cluster));
    cluster = extent.clusters[0];
    cluster.number = 4;
    g_assert_false(vma_index_has(index, 0, &cluster));
    cluster.device_id = 8;
    g_assert_false(vma_index_has(index, 0, &cluster));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/index/finds-what-is-stored", test_find);
    g_test_add_func("/index/runs-end-where-they-end", test_runs);
    g_test_add_func("/index/runs-end-at-the-limit", test_limit);
    g_test_add_func("/index/last-cluster-there-can-be", test_far);
    g_test_add_func("/index/in-the-order-of-clusters", test_order);
    g_test_add_func("/index/memory-follows-the-data", test_memory);
    g_test_add_func("/index/tells-what-is-there-and-notes-it", test_check);
    return g_test_run();
}
