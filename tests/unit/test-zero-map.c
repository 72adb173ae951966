/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs of zero clusters from extents of any length.
 */
#include <glib.h>
#include <string.h>

#include "backup/info.h"
#include "source/zero-map.h"

#define C ((uint64_t)BACKUP_CLUSTER_BYTES)

static void assert_run(ZeroMap *map, uint64_t from, uint64_t count, bool zero)
{
    bool is_zero = !zero;

    g_assert_cmpuint(zero_map_run(map, from, &is_zero), ==, count);
    if (count > 0) {
        g_assert_cmpint(is_zero, ==, zero);
    }
}

static void test_nothing_known(void)
{
    g_autoptr(ZeroMap) map = zero_map_new(3 * C);

    g_assert_cmpuint(zero_map_known_bytes(map), ==, 0);
    assert_run(map, 0, 0, false);
    zero_map_add(map, C - 1, true);
    assert_run(map, 0, 0, false);
    zero_map_add(map, 1, true);
    assert_run(map, 0, 1, true);
    assert_run(map, 1, 0, false);
}

/* A cluster that is zeroes only in part has to be read. */
static void test_partial_clusters(void)
{
    g_autoptr(ZeroMap) map = zero_map_new(10 * C);

    zero_map_add(map, 512, false);
    zero_map_add(map, 3 * C - 512 - 1, true);
    zero_map_add(map, 1, false);
    zero_map_add(map, C / 2, true);
    zero_map_add(map, C / 2, true);
    zero_map_add(map, 512, true);
    zero_map_add(map, 6 * C - 512, false);
    assert_run(map, 0, 1, false);
    assert_run(map, 1, 1, true);
    assert_run(map, 2, 1, false);
    assert_run(map, 3, 1, true);
    assert_run(map, 4, 6, false);
    assert_run(map, 7, 3, false);
}

static void test_short_last_cluster(void)
{
    g_autoptr(ZeroMap) map = zero_map_new(2 * C + 1);

    zero_map_add(map, C + 5, false);
    zero_map_add(map, C, true);
    assert_run(map, 0, 2, false);
    /* Behind the end there is nothing. */
    zero_map_add(map, UINT64_MAX, true);
    g_assert_cmpuint(zero_map_known_bytes(map), ==, 2 * C + 1);
    assert_run(map, 2, 1, true);
}

/* Zeroes that are told of bit by bit, and asked about in between. */
static void test_growing_run(void)
{
    g_autoptr(ZeroMap) map = zero_map_new(100 * C);

    zero_map_add(map, 2 * C + C / 2, true);
    assert_run(map, 0, 2, true);
    assert_run(map, 2, 0, false);
    zero_map_add(map, C / 2, true);
    assert_run(map, 2, 1, true);
    assert_run(map, 3, 0, false);
    zero_map_add(map, 3 * C, true);
    assert_run(map, 3, 3, true);
    assert_run(map, 5, 1, true);
}

/* A server may tell of more than there is room for. */
static void test_bounded(void)
{
    g_autoptr(ZeroMap) map = zero_map_new((uint64_t)1 << 48);
    uint64_t runs = 0;

    while (zero_map_add(map, C, true) && zero_map_add(map, C, false)) {
        runs++;
    }
    g_assert_cmpuint(runs, <, 100000);
    for (uint64_t i = 0; i < runs; i++) {
        assert_run(map, 2 * i, 1, true);
        assert_run(map, 2 * i + 1, 1, false);
        g_assert_false(i + 1 < runs && zero_map_add(map, C, true));
    }
    while (!zero_map_add(map, C, true)) {
        uint64_t known = zero_map_known_bytes(map) / C;

        assert_run(map, known, 0, false);
    }
}

/* Against a disk kept byte by byte (in units of 512). */
static void test_random(void)
{
    enum { UNITS = 128, CLUSTERS = 40 };
    static uint8_t zero[CLUSTERS * UNITS];
    uint64_t units = sizeof(zero) - 77;
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    for (int round = 0; round < 2000; round++) {
        g_autoptr(ZeroMap) map = zero_map_new(units * 512);
        uint64_t told = 0, next = 0;

        while (next < CLUSTERS) {
            bool is_zero;
            uint64_t count = zero_map_run(map, next, &is_zero);

            if (count == 0) {
                uint64_t n = g_rand_int_range(rand, 1, 400);
                bool z = g_rand_boolean(rand);

                g_assert_true(zero_map_add(map, n * 512, z));
                n = MIN(n, units - told);
                memset(zero + told, z, n);
                told += n;
                g_assert_cmpuint(zero_map_known_bytes(map), ==, told * 512);
            }
            for (; count > 0; count--, next++) {
                uint64_t end = MIN((next + 1) * UNITS, units);

                g_assert_cmpuint(end, <=, told);
                g_assert_cmpint(is_zero, ==,
                                !memchr(zero + next * UNITS, 0,
                                        end - next * UNITS));
            }
        }
    }
}

/* Of two answers only what both call zeroes is. */
static void test_twice(void)
{
    g_autoptr(ZeroMap) map = zero_map_new(10 * C);

    zero_map_ask_twice(map);
    g_assert_cmpuint(zero_map_question_bytes(map, 8 * C), ==, 8 * C);
    zero_map_add(map, 4 * C, true);
    g_assert_cmpuint(zero_map_next_byte(map), ==, 4 * C);
    zero_map_add(map, 2 * C, false);
    g_assert_true(zero_map_end_answer(map));
    g_assert_cmpuint(zero_map_known_bytes(map), ==, 0);
    assert_run(map, 0, 0, false);

    /* The second question is about what the first answer has told of. */
    g_assert_cmpuint(zero_map_question_bytes(map, 8 * C), ==, 6 * C);
    g_assert_cmpuint(zero_map_next_byte(map), ==, 0);
    zero_map_add(map, C, true);
    zero_map_add(map, C, false);
    zero_map_add(map, 9 * C, true);
    g_assert_true(zero_map_end_answer(map));
    g_assert_cmpuint(zero_map_known_bytes(map), ==, 6 * C);
    assert_run(map, 0, 1, true);
    assert_run(map, 1, 1, false);
    assert_run(map, 2, 2, true);
    assert_run(map, 4, 2, false);
    assert_run(map, 6, 0, false);
}

/* Less in the second answer; the rest is asked for again, both times. */
static void test_twice_less(void)
{
    g_autoptr(ZeroMap) map = zero_map_new(4 * C + 1);

    zero_map_ask_twice(map);
    zero_map_add(map, UINT64_MAX, true);
    g_assert_cmpuint(zero_map_next_byte(map), ==, 4 * C + 1);
    g_assert_true(zero_map_end_answer(map));
    zero_map_add(map, C, true);
    g_assert_true(zero_map_end_answer(map));
    assert_run(map, 0, 1, true);
    g_assert_cmpuint(zero_map_question_bytes(map, UINT64_MAX), ==, 3 * C + 1);
    zero_map_add(map, 3 * C + 1, false);
    g_assert_true(zero_map_end_answer(map));
    zero_map_add(map, 3 * C + 1, true);
    g_assert_true(zero_map_end_answer(map));
    assert_run(map, 1, 4, false);
}

/* Answers that tell nothing are noticed, first or second. */
static void test_no_answer(void)
{
    g_autoptr(ZeroMap) once = zero_map_new(C);
    g_autoptr(ZeroMap) twice = zero_map_new(C);

    g_assert_false(zero_map_end_answer(once));
    zero_map_ask_twice(twice);
    g_assert_false(zero_map_end_answer(twice));
    zero_map_add(twice, C, true);
    g_assert_true(zero_map_end_answer(twice));
    g_assert_false(zero_map_end_answer(twice));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/zero-map/nothing-known", test_nothing_known);
    g_test_add_func("/zero-map/partial-clusters", test_partial_clusters);
    g_test_add_func("/zero-map/short-last-cluster", test_short_last_cluster);
    g_test_add_func("/zero-map/growing-run", test_growing_run);
    g_test_add_func("/zero-map/bounded", test_bounded);
    g_test_add_func("/zero-map/against-a-plain-disk", test_random);
    g_test_add_func("/zero-map/two-questions", test_twice);
    g_test_add_func("/zero-map/two-questions-less-told", test_twice_less);
    g_test_add_func("/zero-map/nothing-told", test_no_answer);
    return g_test_run();
}
