/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What several unit tests need: bytes as a descriptor, patterns, folders.
 */
#ifndef TESTS_UTIL_H
#define TESTS_UTIL_H

#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"

/* A descriptor from which the bytes can be read. */
static inline int fd_of_bytes(const void *data, size_t bytes)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_true(io_write(fd, data, bytes, NULL));
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    return fd;
}

/* All bytes of a file, from its start. */
static inline GBytes *bytes_of_fd(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char *data = g_malloc(size + 1);
    size_t got;

    g_assert_true(io_pread(fd, data, size, 0, &got, NULL));
    g_assert_cmpuint(got, ==, size);
    return g_bytes_new_take(data, size);
}

/* Bytes that differ by seed and place and hold no zero block. */
static inline void fill_pattern(uint8_t *data, size_t bytes, uint32_t seed)
{
    uint64_t x = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;

    for (size_t i = 0; i < bytes; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
        data[i] = x >> 56 | 1;
    }
}

static inline char *make_folder(void)
{
    char *folder = g_dir_make_tmp("vma-sink-test-XXXXXX", NULL);

    g_assert_nonnull(folder);
    return folder;
}

/* Removes the folder with its files; returns how many there were. */
static inline int remove_folder(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    int count = 0;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_assert_cmpint(unlink(file), ==, 0);
        count++;
    }
    g_assert_cmpint(rmdir(path), ==, 0);
    return count;
}

#define assert_kind(error, kind) g_assert_error(error, BACKUP_ERROR, kind)

#endif /* TESTS_UTIL_H */
