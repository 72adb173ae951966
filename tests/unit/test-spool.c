/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces in a temporary file: they come back as they were or not at all, and
 * their room is given back.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "io/spool.h"
#include "util.h"

#define PIECE 65536u

static uint8_t *piece_of(uint32_t seed)
{
    uint8_t *data = g_malloc(PIECE);

    fill_pattern(data, PIECE, seed);
    return data;
}

static bool put(IoSpool *spool, uint32_t seed, IoSpoolPlace *place)
{
    g_autofree uint8_t *data = piece_of(seed);

    return io_spool_put(spool, data, place);
}

static void assert_piece(IoSpool *spool, const IoSpoolPlace *place,
                         uint32_t seed)
{
    g_autofree uint8_t *expected = piece_of(seed);
    g_autofree uint8_t *data = g_malloc(PIECE);
    g_autoptr(GError) error = NULL;

    io_spool_get(spool, place, data, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(data, PIECE, expected, PIECE);
}

/* The file itself, by a descriptor of the test's own; -1: there is none. */
static int file_of(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);

        if (target && g_str_has_prefix(target, folder)) {
            return open(path, O_RDWR | O_CLOEXEC);
        }
    }
    return -1;
}

/* In any order, in places that are used again. */
static void test_pieces(void)
{
    g_autofree char *folder = make_folder();
    g_autoptr(GError) error = NULL;
    g_autoptr(IoSpool) spool = io_spool_new(folder, UINT64_MAX, PIECE, &error);
    IoSpoolPlace places[8];
    struct stat st;
    int fd;

    g_assert_no_error(error);
    /* It has no name. */
    g_assert_cmpint(remove_folder(folder), ==, 0);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 8; i++) {
            g_assert_true(put(spool, round * 8 + i, &places[i]));
        }
        for (unsigned i = 0; i < 8; i++) {
            unsigned n = i * 5 % 8;

            assert_piece(spool, &places[n], round * 8 + n);
            io_spool_drop(spool, &places[n]);
        }
    }
    g_assert_null(io_spool_failure(spool));
    fd = file_of(folder);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    g_assert_cmpint(st.st_size, <=, 8 * PIECE);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1) == 0) {
        g_assert_cmpint(st.st_blocks * 512, <, PIECE);
    } else {
        g_test_message("no holes in files of this file system");
    }
    close(fd);
}

/* Full is no failure; what is dropped makes room. */
static void test_limit(void)
{
    g_autofree char *folder = make_folder();
    g_autoptr(IoSpool) spool = io_spool_new(folder, 3 * PIECE - 1, PIECE, NULL);
    IoSpoolPlace places[3];

    g_assert_true(put(spool, 1, &places[0]));
    g_assert_true(put(spool, 2, &places[1]));
    g_assert_false(put(spool, 3, &places[2]));
    io_spool_drop(spool, &places[0]);
    g_assert_true(put(spool, 4, &places[0]));
    g_assert_false(put(spool, 5, &places[2]));
    assert_piece(spool, &places[0], 4);
    assert_piece(spool, &places[1], 2);
    g_assert_null(io_spool_failure(spool));
    remove_folder(folder);
}

/* The file system has no room: for a part of the second piece only, of two. */
static void test_full(void)
{
    g_autofree char *folder = make_folder();
    g_autoptr(IoSpool) spool = io_spool_new(folder, 2 * PIECE, PIECE, NULL);
    struct rlimit old, small;
    IoSpoolPlace places[2];

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    small = old;
    small.rlim_cur = PIECE + 5000;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    g_assert_true(put(spool, 1, &places[0]));
    g_assert_false(put(spool, 2, &places[1]));
    g_assert_false(put(spool, 2, &places[1]));
    g_assert_null(io_spool_failure(spool));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    g_assert_true(put(spool, 3, &places[1]));
    assert_piece(spool, &places[0], 1);
    assert_piece(spool, &places[1], 3);
    remove_folder(folder);
}

/* Zeroes, a single bit, another piece, or nothing in a piece's place. */
static void test_damage(void)
{
    g_autofree char *folder = make_folder();
    g_autoptr(IoSpool) spool = io_spool_new(folder, UINT64_MAX, PIECE, NULL);
    g_autofree uint8_t *buffer = g_malloc(PIECE);
    int fd = file_of(folder);

    g_assert_cmpint(fd, >=, 0);
    for (unsigned kind = 0; kind < 4; kind++) {
        g_autofree uint8_t *data = piece_of(kind == 2 ? 9 : 7);
        g_autoptr(GError) error = NULL;
        IoSpoolPlace place;

        g_assert_true(put(spool, 7, &place));
        if (kind == 0) {
            memset(data, 0, PIECE);
        }
        data[100] ^= kind == 1;
        g_assert_true(io_pwrite(fd, data, PIECE, place.slot * PIECE, NULL));
        if (kind == 3) {
            g_assert_cmpint(ftruncate(fd, PIECE - 1), ==, 0);
        }
        g_assert_false(io_spool_get(spool, &place, buffer, &error));
        assert_kind(error, BACKUP_ERROR_FAILED);
        g_assert_nonnull(strstr(error->message, folder));
        io_spool_drop(spool, &place);
    }
    close(fd);
    remove_folder(folder);
}

static void test_no_folder(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(io_spool_new("/nonexistent/folder", UINT64_MAX, PIECE,
                               &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "/nonexistent/folder"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spool/pieces-come-back-and-their-room", test_pieces);
    g_test_add_func("/spool/no-more-than-the-limit", test_limit);
    g_test_add_func("/spool/full-file-system-is-no-failure", test_full);
    g_test_add_func("/spool/damage-is-found", test_damage);
    g_test_add_func("/spool/folder-that-is-not-there", test_no_folder);
    return g_test_run();
}
