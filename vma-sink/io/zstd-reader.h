/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads zstd files, which may come from anywhere: from the start to the end
 * (IoZstdStream), or single frames of one with a seek table (IoZstdFrames).
 *
 * Errors are of kind DAMAGED (not zstd, wrong by a checksum, or with a window of
 * more than 128 MiB where the input is no file of frames), INCOMPLETE (it
 * ends within a frame), or FAILED (it can't be read, or memory is short).
 */
#ifndef IO_ZSTD_READER_H
#define IO_ZSTD_READER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/zstd-table.h"

/* Whether a file that begins with these bytes is one; 4 bytes decide. */
bool io_zstd_is_magic(const void *data, size_t bytes);

/*
 * All frames one after another, whoever made them; skippable ones are skipped.
 * The descriptor may be a pipe.  For one thread.
 */
typedef struct IoZstdStream IoZstdStream;

/*
 * Reads FD, which is borrowed, from where it stands.  The HEAD_BYTES bytes at
 * HEAD, which may be 0, come before that: what was read to look at the magic
 * number.  They are copied.
 */
IoZstdStream *io_zstd_stream_new(int fd, const void *head, size_t head_bytes,
                                 GError **error);
void io_zstd_stream_free(IoZstdStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoZstdStream, io_zstd_stream_free)

/*
 * From now on the input is read by FUNC, as by io_readv_some() with one buffer:
 * for a thread that must not be held up by the descriptor.
 */
typedef bool IoZstdReadFunc(void *opaque, void *buffer, size_t bytes,
                            size_t *got, GError **error);
void io_zstd_stream_set_read(IoZstdStream *stream, IoZstdReadFunc *func,
                             void *opaque);

/*
 * As io_read(): decompressed bytes until BUFFER is full or the input ends,
 * which is between two frames; *got is set in any case.  After an error, and at
 * the end, it goes on saying the same.  io_zstd_stream_read_some() does not
 * read more of the input once it has something to give.
 */
bool io_zstd_stream_read(IoZstdStream *stream, void *buffer, size_t bytes,
                         size_t *got, GError **error);
bool io_zstd_stream_read_some(IoZstdStream *stream, void *buffer, size_t bytes,
                              size_t *got, GError **error);

/* Bytes of the input taken so far, for errors and progress. */
uint64_t io_zstd_stream_offset(const IoZstdStream *stream);

/* How many frames have ended so far, without those to be skipped. */
uint64_t io_zstd_stream_frames(const IoZstdStream *stream);

/*
 * Single frames, by their numbers.  Each thread has one of these; they share
 * the descriptor, which is only read by pread(), and the table.
 */
typedef struct IoZstdFrames IoZstdFrames;

/* The largest frame that is read, decompressed. */
#define IO_ZSTD_FRAME_MAX_BYTES (UINT32_C(256) << 20)

/*
 * Up to here, and vma-sink makes no larger ones, all of a frame is read before
 * it is decompressed, which is faster.  Of a larger one that takes no memory,
 * but zstd does, for the window that the frame was compressed with; or, where
 * that is larger than any frame, all of it is in memory.
 */
#define IO_ZSTD_FRAME_LARGE_BYTES (UINT32_C(40) << 20)

/* Both are borrowed. */
IoZstdFrames *io_zstd_frames_new(int fd, const IoZstdTable *table,
                                 GError **error);
void io_zstd_frames_free(IoZstdFrames *frames);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoZstdFrames, io_zstd_frames_free)

/*
 * Decompresses a frame of the table into BUFFER, of the frame's content_bytes
 * bytes, and verifies its size and, where it has one, its checksum.  Of a
 * skippable one only the size is verified.  False: what is in the buffer means
 * nothing.
 */
bool io_zstd_frames_read(IoZstdFrames *frames, uint32_t frame, void *buffer,
                         GError **error);

/*
 * The same in parts: BYTES bytes, at least one, of a frame that holds as many
 * from FROM on, which is 0 or where the last call, for the same frame, has
 * ended.  Size and checksum are verified with the last part.
 */
bool io_zstd_frames_read_part(IoZstdFrames *frames, uint32_t frame,
                              uint32_t from, void *buffer, size_t bytes,
                              GError **error);

#endif /* IO_ZSTD_READER_H */
