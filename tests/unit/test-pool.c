/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive read by many threads at once, at any place: each gets the bytes
 * that were written, and an error where they are damaged and nowhere else.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "restore/pool.h"
#include "restore/scan.h"

#define CLUSTERS 600u
#define SIZE ((uint64_t)CLUSTERS * VMA_CLUSTER_BYTES - 3000)
#define THREADS 8u
#define BUFFER_BYTES 200000u

typedef struct Fixture {
    char *folder;
    char *path;
    uint8_t *content;           /* of the device, padded to whole clusters */
    RestorePool *pool;
    const BackupDevice *device;
    bool bad[CLUSTERS];         /* those in a damaged extent */
} Fixture;

/* Flips a bit of CLUSTER, and notes what shares its extent. */
static void damage(Fixture *f, uint32_t cluster)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(f->path, NULL);
    g_autoptr(VmaIndex) index = restore_scan(archive, NULL);
    int fd = open(f->path, O_RDWR);
    VmaPlace place, other;
    uint64_t offset;
    uint8_t byte;

    g_assert_true(vma_index_find(index, 5, cluster, &place));
    offset = place.extent_offset + sizeof(VmaExtentHeader) +
             place.first_block * VMA_BLOCK_BYTES + 100;
    g_assert_cmpint(pread(fd, &byte, 1, offset), ==, 1);
    byte ^= 4;
    g_assert_cmpint(pwrite(fd, &byte, 1, offset), ==, 1);
    close(fd);
    for (uint32_t i = 0; i < CLUSTERS; i++) {
        f->bad[i] = vma_index_find(index, 5, i, &other) &&
                    other.extent == place.extent;
    }
}

static Fixture *fixture_new(uint64_t cache_bytes, bool damaged)
{
    Fixture *f = g_new0(Fixture, 1);
    g_autoptr(GError) error = NULL;

    f->folder = make_folder();
    f->path = g_build_filename(f->folder, "a.vma", NULL);
    f->content = g_malloc0((size_t)CLUSTERS * VMA_CLUSTER_BYTES);
    write_archive(f->path, SIZE, f->content);
    if (damaged) {
        damage(f, 100);
    }
    f->pool = restore_pool_new(f->path, cache_bytes, &error);
    g_assert_no_error(error);
    f->device = g_ptr_array_index(restore_pool_info(f->pool)->devices, 0);
    g_assert_cmpuint(restore_pool_size(f->pool, f->device), ==, SIZE);
    return f;
}

static void fixture_free(Fixture *f)
{
    restore_pool_free(f->pool);
    remove_folder(f->folder);
    g_free(f->content);
    g_free(f->path);
    g_free(f->folder);
    g_free(f);
}

static bool any_bad(const Fixture *f, uint64_t offset, size_t bytes)
{
    bool bad = false;

    for (uint64_t i = offset / VMA_CLUSTER_BYTES;
         i <= (offset + bytes - 1) / VMA_CLUSTER_BYTES; i++) {
        bad = bad || f->bad[i];
    }
    return bad;
}

static void check_read(Fixture *f, uint8_t *buffer, uint64_t offset,
                       size_t bytes)
{
    g_autoptr(GError) error = NULL;
    bool ok = restore_pool_read(f->pool, f->device, offset, buffer, bytes,
                                &error);

    if (any_bad(f, offset, bytes)) {
        g_assert_false(ok);
        assert_kind(error, BACKUP_ERROR_DAMAGED);
    } else {
        g_assert_no_error(error);
        g_assert_cmpmem(buffer, bytes, f->content + offset, bytes);
    }
}

/* Half of them at random, half in order, and all of it. */
static void *read_much(void *opaque)
{
    static gint threads;
    Fixture *f = opaque;
    int number = g_atomic_int_add(&threads, 1);
    g_autoptr(GRand) rand = g_rand_new_with_seed(number);
    g_autofree uint8_t *buffer = g_malloc(BUFFER_BYTES);
    size_t bytes;

    for (unsigned i = 0; number % 2 && i < 300; i++) {
        bytes = g_rand_int_range(rand, 1, BUFFER_BYTES);
        check_read(f, buffer, g_rand_double_range(rand, 0, SIZE - bytes),
                   bytes);
    }
    for (uint64_t at = 0; number % 2 == 0 && at < SIZE; at += bytes) {
        bytes = MIN(VMA_CLUSTER_BYTES, SIZE - at);
        check_read(f, buffer, at, bytes);
    }
    return NULL;
}

static void read_by_threads(uint64_t cache_bytes, bool damaged)
{
    Fixture *f = fixture_new(cache_bytes, damaged);
    GThread *threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = g_thread_new("reader", read_much, f);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        g_thread_join(threads[i]);
    }
    fixture_free(f);
}

/* Several readers with room for all extents, with one each, and one alone. */
static void test_threads(void)
{
    read_by_threads(UINT64_C(512) << 20, false);
    read_by_threads(UINT64_C(16) << 20, false);
    read_by_threads(0, false);
}

static void test_damaged(void)
{
    read_by_threads(UINT64_C(64) << 20, true);
    read_by_threads(0, true);
}

/* As the index, but from any byte on. */
static void test_runs(void)
{
    Fixture *f = fixture_new(0, false);
    uint64_t end;

    g_assert_false(restore_pool_run(f->pool, f->device, 100, SIZE, &end));
    g_assert_cmpuint(end, ==, VMA_CLUSTER_BYTES);
    g_assert_true(restore_pool_run(f->pool, f->device, VMA_CLUSTER_BYTES + 1,
                                   SIZE, &end));
    g_assert_cmpuint(end, ==, VMA_CLUSTER_BYTES + 8192);
    g_assert_false(restore_pool_run(f->pool, f->device,
                                    VMA_CLUSTER_BYTES + 8195, SIZE, &end));
    g_assert_cmpuint(end, ==, VMA_CLUSTER_BYTES + 8192 + 4096);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pool/threads-read-what-was-written", test_threads);
    g_test_add_func("/pool/damage-is-an-error-there-alone", test_damaged);
    g_test_add_func("/pool/runs-from-any-byte", test_runs);
    return g_test_run();
}
