/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of an archive that is in memory, out of a plain file, out of frames
 * of zstd, where it is not copied, and out of a stream of it.
 */
#include <unistd.h>

#include "io/zstd-writer.h"
#include "output.h"
#include "vma/window.h"

#define FRAMES 30u
#define FRAME_BYTES 20000u

/* A seekable file; *content is what is in it. */
static GBytes *compress(GByteArray *content)
{
    OutputFile f = output_file_new();
    g_autoptr(IoZstdWriter) writer = io_zstd_writer_new(f.output, 1, 2,
                                                        FRAME_BYTES, NULL);
    GBytes *file;

    for (unsigned i = 0; i < FRAMES; i++) {
        uint8_t *room = io_zstd_writer_room(writer, NULL);
        /* Some are of one byte. */
        size_t bytes = i % 5 == 4 ? 1 : FRAME_BYTES - i;

        fill_pattern(room, bytes, i);
        g_byte_array_append(content, room, bytes);
        io_zstd_writer_give(writer, bytes);
    }
    g_assert_true(io_zstd_writer_finish(writer, NULL));
    file = output_file_bytes(&f);
    output_file_clear(&f);
    return file;
}

/* What is there is right, and there is enough of it. */
static void assert_window(const VmaWindow *w, const GByteArray *content,
                          size_t asked)
{
    size_t left = content->len - w->offset;

    g_assert_cmpuint(vma_window_bytes(w), >=, MIN(asked, left));
    g_assert_cmpuint(vma_window_bytes(w), <=, left);
    g_assert_cmpmem(vma_window_data(w), vma_window_bytes(w),
                    content->data + w->offset, vma_window_bytes(w));
}

static void pass_through(int fd, const GByteArray *content, unsigned seed,
                         uint32_t most)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    g_autofree char *note = NULL;
    g_autoptr(IoInput) in = NULL;
    VmaWindow w;

    g_assert_cmpint(lseek(fd, 0, SEEK_SET), ==, 0);
    in = io_input_new(fd, 2, &note, NULL);
    vma_window_init(&w, in, 2 * most);
    while (w.offset < content->len) {
        size_t asked = g_rand_int_range(rand, 0, most);

        g_assert_true(vma_window_fill(&w, asked, NULL));
        assert_window(&w, content, asked);
        /* Once more, of what is there. */
        g_assert_true(vma_window_fill(&w, asked + 1, NULL));
        assert_window(&w, content, asked + 1);
        vma_window_skip(&w, MIN(asked, vma_window_bytes(&w)));
        assert_window(&w, content, 0);
    }
    g_assert_true(vma_window_fill(&w, 1, NULL));
    g_assert_cmpuint(vma_window_bytes(&w), ==, 0);
    vma_window_clear(&w);
}

static void pass_all(const void *data, size_t bytes, const GByteArray *content)
{
    static const uint32_t most[] = { 2, 600, FRAME_BYTES + 1, 100000 };
    int fd = fd_of_bytes(data, bytes);

    for (size_t i = 0; i < G_N_ELEMENTS(most); i++) {
        /* Small steps take long. */
        unsigned seeds = most[i] == 2 ? 1 : 4;

        for (unsigned seed = 0; seed < seeds; seed++) {
            pass_through(fd, content, seed, most[i]);
        }
    }
    close(fd);
}

static void test_plain(void)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    g_autoptr(GBytes) file = compress(content);

    pass_all(content->data, content->len, content);
}

static void test_frames(void)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    g_autoptr(GBytes) file = compress(content);

    pass_all(g_bytes_get_data(file, NULL), g_bytes_get_size(file), content);
}

/* Its seek table is none any more, but still a frame to be skipped. */
static void test_stream(void)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    g_autoptr(GByteArray) file = g_bytes_unref_to_array(compress(content));

    file->data[file->len - 1] ^= 1;
    pass_all(file->data, file->len, content);
}

/* What is asked for and lies in one frame is not copied. */
static void test_no_copy(void)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    g_autoptr(GBytes) file = compress(content);
    int fd = fd_of_bytes(g_bytes_get_data(file, NULL),
                         g_bytes_get_size(file));
    g_autofree char *note = NULL;
    g_autoptr(IoInput) in = io_input_new(fd, 2, &note, NULL);
    const uint8_t *data;
    VmaWindow w;

    vma_window_init(&w, in, 1);
    for (unsigned i = 0; i < FRAMES; i++) {
        size_t bytes = i % 5 == 4 ? 1 : FRAME_BYTES - i;

        g_assert_true(vma_window_fill(&w, 1, NULL));
        data = vma_window_data(&w);
        g_assert_true(vma_window_fill(&w, bytes, NULL));
        g_assert_true(vma_window_data(&w) == data);
        g_assert_true(data != w.buffer);
        vma_window_skip(&w, bytes);
        g_assert_cmpuint(w.capacity, ==, 1);
    }
    vma_window_clear(&w);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/window/plain", test_plain);
    g_test_add_func("/window/frames", test_frames);
    g_test_add_func("/window/stream", test_stream);
    g_test_add_func("/window/whole-frames-are-not-copied", test_no_copy);
    return g_test_run();
}
