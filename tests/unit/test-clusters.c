/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ClusterSet: every cluster exactly once, in little memory.
 */
#include "backup/clusters.h"

#define CHUNK (UINT64_C(1) << 12)

static void test_duplicate_is_named(void)
{
    g_autoptr(ClusterSet) set = cluster_set_new(1000);
    uint64_t duplicate = 0;

    g_assert_true(cluster_set_add_run(set, 60, 10, &duplicate));
    g_assert_false(cluster_set_add_run(set, 0, 100, &duplicate));
    g_assert_cmpuint(duplicate, ==, 60);
    g_assert_false(cluster_set_add_run(set, 69, 1, &duplicate));
    g_assert_cmpuint(duplicate, ==, 69);
    /* Those before the duplicate are in, those behind it are not. */
    g_assert_cmpuint(cluster_set_missing(set), ==, 1000 - 70);
    g_assert_cmpuint(cluster_set_first_missing(set), ==, 70);
}

static void test_missing_is_found(void)
{
    g_autoptr(ClusterSet) set = cluster_set_new(3 * CHUNK + 5);
    uint64_t duplicate;

    g_assert_cmpuint(cluster_set_first_missing(set), ==, 0);
    g_assert_true(cluster_set_add_run(set, 0, 2 * CHUNK - 1, &duplicate));
    g_assert_cmpuint(cluster_set_first_missing(set), ==, 2 * CHUNK - 1);
    g_assert_true(cluster_set_add_run(set, 2 * CHUNK - 1, 1, &duplicate));
    g_assert_cmpuint(cluster_set_first_missing(set), ==, 2 * CHUNK);
    g_assert_true(cluster_set_add_run(set, 2 * CHUNK, CHUNK + 4, &duplicate));
    g_assert_cmpuint(cluster_set_missing(set), ==, 1);
    g_assert_cmpuint(cluster_set_first_missing(set), ==, 3 * CHUNK + 4);
    g_assert_true(cluster_set_add_run(set, 3 * CHUNK + 4, 1, &duplicate));
    g_assert_cmpuint(cluster_set_missing(set), ==, 0);
}

/* The runs that are missing, against a plain array. */
static void assert_missing_runs(const ClusterSet *set, const bool *plain,
                                uint64_t clusters)
{
    uint64_t from = 0, first, count;

    while (cluster_set_next_missing(set, from, &first, &count)) {
        for (uint64_t c = from; c < first; c++) {
            g_assert_true(plain[c]);
        }
        for (uint64_t c = first; c < first + count; c++) {
            g_assert_false(plain[c]);
        }
        from = first + count;
        g_assert_true(from == clusters || plain[from]);
    }
    for (uint64_t c = from; c < clusters; c++) {
        g_assert_true(plain[c]);
    }
}

/* Against a plain array, with runs of all lengths at all places. */
static void test_same_as_plain_array(void)
{
    const uint64_t count = 65 * CHUNK + 777;
    g_autofree bool *plain = g_new0(bool, count);
    g_autoptr(ClusterSet) set = cluster_set_new(count);
    uint64_t missing = count;

    for (int i = 0; i < 20000; i++) {
        uint64_t n = 1 + g_test_rand_int_range(0, i % 100 ? 40 : 9000);
        uint64_t first = g_test_rand_int_range(0, count - n + 1);
        uint64_t expected = UINT64_MAX, duplicate = UINT64_MAX;

        for (uint64_t c = first; c < first + n; c++) {
            if (plain[c]) {
                expected = c;
                break;
            }
            plain[c] = true;
            missing--;
        }
        g_assert_true(cluster_set_add_run(set, first, n, &duplicate) ==
                      (expected == UINT64_MAX));
        g_assert_cmpuint(duplicate, ==, expected);
        g_assert_cmpuint(cluster_set_missing(set), ==, missing);
        if (i % 500 == 0) {
            assert_missing_runs(set, plain, count);
        }
    }
    assert_missing_runs(set, plain, count);
}

/* The same where little of each stretch is seen, up to more than a little. */
static void test_few_of_each_chunk(void)
{
    const uint64_t count = 3 * CHUNK + 20;
    g_autofree bool *plain = g_new0(bool, count);
    g_autoptr(ClusterSet) set = cluster_set_new(count);

    for (int i = 0; i < 60; i++) {
        uint64_t n = 1 + i % 3;
        uint64_t first = g_test_rand_int_range(0, count - n + 1);
        uint64_t c = first, duplicate = UINT64_MAX;

        while (c < first + n && !plain[c]) {
            plain[c++] = true;
        }
        g_assert_true(cluster_set_add_run(set, first, n, &duplicate) ==
                      (c == first + n));
        g_assert_cmpuint(duplicate, ==, c == first + n ? UINT64_MAX : c);
        g_assert_false(cluster_set_add_run(set, first, 1, &duplicate));
        g_assert_cmpuint(duplicate, ==, first);
        assert_missing_runs(set, plain, count);
    }
}

/* More of them than are looked through for the next one. */
static void test_many_chunks(void)
{
    const uint64_t count = 400 * CHUNK;
    g_autofree bool *plain = g_new0(bool, count);
    g_autoptr(ClusterSet) set = cluster_set_new(count);
    uint64_t duplicate;

    for (uint64_t c = 5; c < count; c += CHUNK + 1) {
        g_assert_true(cluster_set_add_run(set, c, 1, &duplicate));
        plain[c] = true;
        if (c / CHUNK % 40 == 0) {
            assert_missing_runs(set, plain, count);
        }
    }
    /* Whole ones, up to one that is not. */
    g_assert_false(cluster_set_add_run(set, 0, count, &duplicate));
    g_assert_cmpuint(duplicate, ==, 5);
    for (uint64_t c = 0; c < 5; c++) {
        plain[c] = true;
    }
    assert_missing_runs(set, plain, count);
}

/* Of runs of whole chunks, too, the first duplicate is named. */
static void test_whole_chunks(void)
{
    const uint64_t count = 20 * CHUNK + 9;
    g_autoptr(ClusterSet) set = cluster_set_new(count);
    uint64_t duplicate;

    g_assert_true(cluster_set_add_run(set, 7 * CHUNK, 2 * CHUNK, &duplicate));
    g_assert_true(cluster_set_add_run(set, 15 * CHUNK + 3, 1, &duplicate));
    g_assert_false(cluster_set_add_run(set, CHUNK, 10 * CHUNK, &duplicate));
    g_assert_cmpuint(duplicate, ==, 7 * CHUNK);
    g_assert_cmpuint(cluster_set_missing(set), ==, count - 8 * CHUNK - 1);
    g_assert_false(cluster_set_add_run(set, 9 * CHUNK, count - 9 * CHUNK,
                                       &duplicate));
    g_assert_cmpuint(duplicate, ==, 15 * CHUNK + 3);
    g_assert_true(cluster_set_add_run(set, 15 * CHUNK + 4,
                                      count - 15 * CHUNK - 4, &duplicate));
    g_assert_cmpuint(cluster_set_first_missing(set), ==, 0);
    g_assert_cmpuint(cluster_set_missing(set), ==, CHUNK);
}

static void test_largest_device(void)
{
    const uint64_t count = UINT64_C(1) << 32;
    g_autoptr(ClusterSet) set = cluster_set_new(count);
    uint64_t duplicate;

    g_assert_true(cluster_set_add_run(set, count - 1, 1, &duplicate));
    g_assert_true(cluster_set_add_run(set, 0, count - 1, &duplicate));
    g_assert_cmpuint(cluster_set_missing(set), ==, 0);
    g_assert_false(cluster_set_add_run(set, 12345678, 1, &duplicate));
    g_assert_cmpuint(duplicate, ==, 12345678);
}

static void test_empty(void)
{
    g_autoptr(ClusterSet) set = cluster_set_new(0);

    g_assert_cmpuint(cluster_set_missing(set), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/clusters/duplicate-is-named", test_duplicate_is_named);
    g_test_add_func("/clusters/missing-is-found", test_missing_is_found);
    g_test_add_func("/clusters/same-as-plain-array", test_same_as_plain_array);
    g_test_add_func("/clusters/few-of-each-chunk", test_few_of_each_chunk);
    g_test_add_func("/clusters/many-chunks", test_many_chunks);
    g_test_add_func("/clusters/whole-chunks", test_whole_chunks);
    g_test_add_func("/clusters/largest-device", test_largest_device);
    g_test_add_func("/clusters/empty", test_empty);
    return g_test_run();
}
