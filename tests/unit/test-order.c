/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk of an archive read from front to back: the same bytes as were written
 * to it, however they are spread over the archive and however little is kept,
 * and no extent read twice without need.
 */
#include "archive.h"
#include "restore/order.h"

#define CLUSTERS 500u
#define SIZE ((uint64_t)CLUSTERS * VMA_CLUSTER_BYTES - 3000)

/* Reads in pieces of up to so many bytes; returns what of the archive. */
static uint64_t check_read(ArchiveFixture *f, uint64_t from, uint64_t to,
                           unsigned piece, uint64_t kept_bytes)
{
    g_autofree uint8_t *buffer = g_malloc(piece);
    g_autoptr(RestoreOrder) order = NULL;
    g_autoptr(GError) error = NULL;

    /* An archive can be expected of once. */
    archive_fixture_open(f);
    order = restore_order_new(f->archive, f->index, 5, from, to, kept_bytes,
                              &error);
    g_assert_no_error(error);
    restore_order_expect(order);
    for (; from < to; from += piece) {
        size_t bytes = MIN(to - from, piece);

        restore_order_read(order, from, buffer, bytes, &error);
        g_assert_no_error(error);
        g_assert_cmpint(memcmp(buffer, f->content + from, bytes), ==, 0);
    }
    return restore_order_bytes(order);
}

static unsigned forward(unsigned i, unsigned count)
{
    (void)count;
    return i;
}

/* Each cluster in another extent than the one before. */
static unsigned strided(unsigned i, unsigned count)
{
    return i * 487 % count;
}

static ArchiveOrder *const orders[] = { forward, archive_both_ends, strided };

static void test_any(void)
{
    static const uint64_t kept[] = { 0, 2 << 20, UINT64_MAX };

    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(orders); i++) {
        ArchiveFixture f = archive_fixture_new(SIZE, orders[i / 2], i % 2);

        for (unsigned k = 0; k < G_N_ELEMENTS(kept); k++) {
            check_read(&f, 0, SIZE, 1000000, kept[k]);
            check_read(&f, 1234567, 20000001, 30001, kept[k]);
            check_read(&f, SIZE - 1, SIZE, 1, kept[k]);
        }
        archive_fixture_clear(&f);
    }
}

static uint64_t archive_bytes(const ArchiveFixture *f)
{
    return io_input_bytes(restore_archive_input(f->archive));
}

/* What fits in the memory is read once. */
static void test_once(void)
{
    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(orders); i++) {
        ArchiveFixture f = archive_fixture_new(SIZE, orders[i / 2], i % 2);
        uint64_t bytes = check_read(&f, 0, SIZE, 1 << 20, UINT64_MAX);

        g_assert_cmpuint(bytes, <=, archive_bytes(&f));
        /* Only the one that is in order needs none. */
        bytes = check_read(&f, 0, SIZE, 1 << 20, 0);
        g_assert_true((bytes <= archive_bytes(&f)) ==
                      (orders[i / 2] == forward));
        archive_fixture_clear(&f);
    }
}

/* With less memory extents are read again, but not for each cluster. */
static void test_amount(void)
{
    ArchiveFixture f = archive_fixture_new(SIZE, strided, true);
    uint64_t whole = check_read(&f, 0, SIZE, 1 << 20, UINT64_MAX);
    uint64_t quarter = check_read(&f, 0, SIZE, 1 << 20, whole / 4);
    uint64_t half = check_read(&f, 0, SIZE, 1 << 20, whole / 2);

    g_assert_cmpuint(half, <=, 3 * whole);
    g_assert_cmpuint(quarter, <=, 5 * whole);
    g_assert_cmpuint(quarter, >, half);
    archive_fixture_clear(&f);
    /* Of a plain one never more than the blocks that are wanted. */
    f = archive_fixture_new(SIZE, strided, false);
    g_assert_cmpuint(check_read(&f, 0, SIZE, 1 << 20, 0), <=,
                     2 * archive_bytes(&f));
    archive_fixture_clear(&f);
}

/* A range needs no more than the extents that hold it. */
static void test_range(void)
{
    ArchiveFixture f = archive_fixture_new(SIZE, forward, true);

    g_assert_cmpuint(check_read(&f, 0, 65536, 65536, UINT64_MAX), <=,
                     VMA_EXTENT_MAX_BYTES);
    archive_fixture_clear(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/order/any-archive-any-memory", test_any);
    g_test_add_func("/order/extents-are-read-once", test_once);
    g_test_add_func("/order/little-memory-costs-little", test_amount);
    g_test_add_func("/order/a-range-reads-its-extents", test_range);
    return g_test_run();
}
