/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive read at any place: the same bytes as were written to it, verified,
 * whatever happens to the file meanwhile.
 */
#include <fcntl.h>

#include "archive.h"
#include "restore/random.h"
#include "vma/header.h"

/* More extents than are kept. */
#define EXTENTS 16u
#define CLUSTERS 1300u
#define SIZE ((uint64_t)CLUSTERS * VMA_CLUSTER_BYTES - 3000)

typedef struct Fixture {
    ArchiveFixture a;
    RestoreRandom *random;
} Fixture;

static Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);

    f->a = archive_fixture_new(SIZE, archive_both_ends, false);
    f->random = restore_random_new(f->a.archive, f->a.index, EXTENTS);
    return f;
}

static void fixture_free(Fixture *f)
{
    restore_random_free(f->random);
    archive_fixture_clear(&f->a);
    g_free(f);
}

static void check_read(Fixture *f, uint64_t offset, size_t bytes)
{
    g_autofree uint8_t *buffer = g_malloc(bytes + 1);
    g_autoptr(GError) error = NULL;

    restore_random_read(f->random, 5, offset, buffer, bytes, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(buffer, bytes, f->a.content + offset, bytes);
}

static uint64_t archive_bytes(const Fixture *f)
{
    uint64_t bytes;

    g_assert_true(restore_scan_size(f->a.archive, &bytes));
    return bytes;
}

static void test_anywhere(void)
{
    Fixture *f = fixture_new();
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    check_read(f, 0, 0);
    check_read(f, SIZE - 1, 1);
    for (unsigned i = 0; i < 500; i++) {
        size_t bytes = g_rand_int_range(rand, 1, 200000);

        check_read(f, g_rand_double_range(rand, 0, SIZE - bytes), bytes);
    }
    fixture_free(f);
}

/* In an order that suits no cache, little is read twice. */
static void test_amount(void)
{
    Fixture *f = fixture_new();

    for (unsigned i = 0; i < CLUSTERS; i++) {
        check_read(f, (uint64_t)(i * 487 % CLUSTERS) * VMA_CLUSTER_BYTES,
                   VMA_CLUSTER_BYTES);
    }
    g_assert_cmpuint(restore_random_bytes(f->random), <=,
                     2 * archive_bytes(f));
    fixture_free(f);
}

static void flip(const Fixture *f, uint64_t offset)
{
    int fd = open(f->a.path, O_RDWR);
    uint8_t byte;

    g_assert_cmpint(pread(fd, &byte, 1, offset), ==, 1);
    byte ^= 1;
    g_assert_cmpint(pwrite(fd, &byte, 1, offset), ==, 1);
    close(fd);
}

/* Where the stored blocks of a cluster begin. */
static uint64_t offset_of(const Fixture *f, uint32_t cluster, VmaPlace *place)
{
    g_assert_true(vma_index_find(f->a.index, 5, cluster, place));
    return place->extent_offset + sizeof(VmaExtentHeader) +
           place->first_block * VMA_BLOCK_BYTES;
}

static void read_fails(Fixture *f, uint32_t cluster, int kind)
{
    uint8_t buffer[1];
    g_autoptr(GError) error = NULL;

    g_assert_false(restore_random_read(f->random, 5, (uint64_t)cluster *
                                       VMA_CLUSTER_BYTES, buffer, 1, &error));
    assert_kind(error, kind);
}

/* A flipped bit spoils its extent, and no other. */
static void test_flipped(void)
{
    Fixture *f = fixture_new();
    VmaPlace bad, place;
    unsigned good = 0;

    flip(f, offset_of(f, 100, &bad) + 5000);
    for (unsigned i = 0; i < CLUSTERS; i++) {
        if (vma_index_find(f->a.index, 5, i, &place) &&
            place.extent == bad.extent) {
            read_fails(f, i, BACKUP_ERROR_DAMAGED);
        } else {
            check_read(f, (uint64_t)i * VMA_CLUSTER_BYTES, 1);
            good++;
        }
    }
    g_assert_cmpuint(good, >, CLUSTERS - 59);
    fixture_free(f);
}

/* What was verified once is still checked when it is read again. */
static void test_flipped_later(void)
{
    Fixture *f = fixture_new();
    VmaPlace place;
    uint64_t offset = offset_of(f, 100, &place);

    /* All of it, so that the cache has long forgotten this extent. */
    check_read(f, 0, SIZE);
    check_read(f, UINT64_C(100) * VMA_CLUSTER_BYTES, 1);
    flip(f, offset + 5000);
    read_fails(f, 100, BACKUP_ERROR_DAMAGED);
    fixture_free(f);
}

/* The file is cut, or another one in its place, after it was scanned. */
static void test_changed(void)
{
    Fixture *f = fixture_new();
    VmaPlace place;
    uint64_t offset = offset_of(f, 100, &place);

    flip(f, place.extent_offset + 60);
    read_fails(f, 100, BACKUP_ERROR_DAMAGED);
    g_assert_cmpint(truncate(f->a.path, offset), ==, 0);
    flip(f, place.extent_offset + 60);
    read_fails(f, 100, BACKUP_ERROR_INCOMPLETE);
    fixture_free(f);
}

static void scan_fails(const char *path, int kind)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(path, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(restore_scan(archive, &error));
    assert_kind(error, kind);
}

/* Of each cut the scan knows, without any of the data. */
static void test_scan_cut(void)
{
    Fixture *f = fixture_new();
    uint64_t size = archive_bytes(f);
    RestoreEndMark end_mark;
    VmaPlace place;

    g_assert_true(restore_scan_end_mark(f->a.archive, &end_mark, NULL));
    g_assert_cmpint(end_mark, ==, RESTORE_END_MARK_THERE);
    offset_of(f, 100, &place);
    const uint64_t cuts[] = {
        size - 1, size - 511, size - 512, size - 513,
        place.extent_offset + 5000, place.extent_offset + 512,
        place.extent_offset + 511, place.extent_offset + 1,
        place.extent_offset,
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cuts); i++) {
        g_assert_cmpint(truncate(f->a.path, cuts[i]), ==, 0);
        scan_fails(f->a.path, BACKUP_ERROR_INCOMPLETE);
        g_assert_true(restore_scan_end_mark(f->a.archive, &end_mark, NULL));
        g_assert_cmpint(end_mark, ==, RESTORE_END_MARK_MISSING);
    }
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/random/any-place-any-size", test_anywhere);
    g_test_add_func("/random/no-extent-is-read-again-and-again", test_amount);
    g_test_add_func("/random/flipped-bit-spoils-its-extent", test_flipped);
    g_test_add_func("/random/what-was-verified-is-checked-again",
                    test_flipped_later);
    g_test_add_func("/random/file-changes-behind-the-index", test_changed);
    g_test_add_func("/scan/every-cut-is-seen", test_scan_cut);
    return g_test_run();
}
