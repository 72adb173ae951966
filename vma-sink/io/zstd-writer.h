/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a seekable zstd file: buffers become frames of their own, compressed
 * by several threads and written in the order in which they were given.
 *
 * All functions are called by one thread, the caller's, to which signals and
 * failed writes are told, whoever writes: to a file the threads that compress,
 * one at a time, and to anything else, where a write may take forever, the
 * caller.  There are THREADS + 2 buffers, no more, and nothing is allocated for
 * a frame: where the output is slow, or compression is, io_zstd_writer_room()
 * takes long, and memory stays what it is.
 *
 * The same buffers give the same bytes, however many threads there are (and
 * with the same release of libzstd).
 */
#ifndef IO_ZSTD_WRITER_H
#define IO_ZSTD_WRITER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/output.h"
#include "io/zstd-table.h"

#define IO_ZSTD_LEVEL_MIN (-7)
#define IO_ZSTD_LEVEL_MAX 19            /* beyond it memory explodes */
#define IO_ZSTD_LEVEL_DEFAULT 3
#define IO_ZSTD_THREADS_MAX 256u

typedef struct IoZstdWriter IoZstdWriter;

/*
 * OUTPUT is borrowed, must outlive the writer, has nothing in it yet, and is
 * left alone by all others until this one is drained or finished.
 * LEVEL and THREADS (at least 1) are within the limits above; ROOM_BYTES is
 * the size of a buffer.
 */
IoZstdWriter *io_zstd_writer_new(IoOutput *output, int level, unsigned threads,
                                 size_t room_bytes, GError **error);

/*
 * At any moment: drops what was not written, and ends the threads, which give
 * up the frames that they are compressing where these take long, but not a
 * write that is under way.
 */
void io_zstd_writer_free(IoZstdWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoZstdWriter, io_zstd_writer_free)

/*
 * The buffer of the next frame, valid until that frame is given; until then
 * it is the same one.  It belongs to the writer.  NULL: *error is set, and the
 * writer can only be freed any more; this holds for all functions here.
 */
uint8_t *io_zstd_writer_room(IoZstdWriter *writer, GError **error);

/*
 * Gives the first BYTES bytes of that buffer, at least one, as a frame.  Its
 * number is what io_zstd_writer_next_frame() said before.
 */
void io_zstd_writer_give(IoZstdWriter *writer, size_t bytes);

/* How many frames were given or written so far. */
uint32_t io_zstd_writer_next_frame(const IoZstdWriter *writer);

/* A frame of bytes that fit no buffer, compressed here and now. */
bool io_zstd_writer_write(IoZstdWriter *writer, const void *data, size_t bytes,
                          GError **error);

/* Waits until all frames are written, and gives the table of them. */
const IoZstdTable *io_zstd_writer_drain(IoZstdWriter *writer, GError **error);

/* Writes a skippable frame, whole as it is, after all others. */
bool io_zstd_writer_write_skippable(IoZstdWriter *writer, const void *frame,
                                    size_t bytes, GError **error);

/* Writes what is left and the seek table; the output is the caller's. */
bool io_zstd_writer_finish(IoZstdWriter *writer, GError **error);

#endif /* IO_ZSTD_WRITER_H */
