/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a zstd file: its seek table, its index, its frames one by one
 * and all of it from the start give what they say, or an error.
 */
#include "input.h"
#include "io/zstd-reader.h"
#include "vma/seek-index.h"

/* More would only make it slow. */
#define MAX_CONTENT (1u << 20)
#define MAX_FRAMES 64u

static void read_frames(int fd, const IoZstdTable *table)
{
    g_autoptr(IoZstdFrames) frames = io_zstd_frames_new(fd, table, NULL);
    g_autofree uint8_t *buffer = g_malloc(MAX_CONTENT);

    for (uint32_t i = 0; i < MIN(io_zstd_table_frames(table), MAX_FRAMES);
         i++) {
        g_autoptr(GError) error = NULL;

        if (io_zstd_table_frame(table, i).content_bytes <= MAX_CONTENT) {
            g_assert(io_zstd_frames_read(frames, i, buffer, &error) == !error);
        }
    }
}

static void read_table(int fd, size_t bytes)
{
    g_autoptr(IoZstdTable) table = NULL;
    g_autoptr(VmaSeekIndex) index = NULL;
    g_autoptr(GError) error = NULL;

    g_assert(io_zstd_table_read(fd, bytes, &table, &error) == !error);
    g_assert(!error || !table);
    if (table) {
        IoZstdFrame end = io_zstd_table_frame(table,
                                              io_zstd_table_frames(table));

        g_assert(end.offset < bytes);
        g_assert(vma_seek_index_read(fd, table, &index, &error) == !error);
        g_assert(!error || !index);
        read_frames(fd, table);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    int fd = input_fd(data, bytes);
    g_autoptr(IoZstdStream) stream = io_zstd_stream_new(fd, NULL, 0, NULL);
    g_autofree uint8_t *buffer = g_malloc(MAX_CONTENT);
    g_autoptr(GError) error = NULL;
    unsigned pieces = 0;
    size_t got;

    read_table(fd, bytes);
    while (io_zstd_stream_read(stream, buffer, MAX_CONTENT, &got, &error) &&
           got > 0 && pieces < 64) {
        pieces++;
        g_assert(io_zstd_stream_offset(stream) <= bytes);
    }
    g_assert(got <= MAX_CONTENT);
    return 0;
}
