/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzzer's bytes as a descriptor to read from.
 */
#ifndef TESTS_FUZZ_INPUT_H
#define TESTS_FUZZ_INPUT_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* The same file each time; rewound, and with these bytes alone. */
static inline int input_fd(const uint8_t *data, size_t bytes)
{
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    }
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
    g_assert_cmpint(pwrite(fd, data, bytes, 0), ==, (ssize_t)bytes);
    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    return fd;
}

#endif /* TESTS_FUZZ_INPUT_H */
