/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of an archive, whether its file is plain or compressed with zstd: in
 * their order, and, where the file allows it, at any place.  Offsets are those
 * of the plain archive.
 *
 * A file of zstd with a seek table is decompressed frame by frame, by as many
 * threads as one likes, ahead of the reading; one without, or a pipe, front to
 * back by a thread of its own.
 *
 * Errors are of kind FAILED, or of what is compressed DAMAGED or INCOMPLETE.
 */
#ifndef IO_INPUT_H
#define IO_INPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/zstd-table.h"

typedef struct IoInput IoInput;

/*
 * Looks at the first bytes of FD, which is borrowed, to see what it is, and at
 * its end for a seek table.  THREADS decompress, at least one.  A bad seek table
 * is no error: then there is none, and *note, to be freed, says why.
 */
IoInput *io_input_new(int fd, unsigned threads, char **note, GError **error);
void io_input_free(IoInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoInput, io_input_free)

/*
 * Before anything is read: what cannot be decompressed is going to read as
 * zeroes, where it is known how much that is, and to end the input, where it is
 * not; FUNC is told what is wrong, of kind DAMAGED or INCOMPLETE, and takes
 * FINDING over.
 */
typedef void IoInputDamageFunc(GError *finding, void *opaque);
void io_input_go_on(IoInput *input, IoInputDamageFunc *func, void *opaque);

/* As io_read(). */
bool io_input_read(IoInput *input, void *buffer, size_t bytes, size_t *got,
                   GError **error);

/*
 * The same without a copy: what comes next, as much as there is where it was
 * decompressed.  It is the caller's, who may change it, until the next call for
 * this input.  *bytes is 0 at the end, and where nothing is decompressed.
 */
bool io_input_take(IoInput *input, uint8_t **data, size_t *bytes,
                   GError **error);

/*
 * Nothing is read by io_input_read() any more: its threads end, and this starts
 * no others.
 */
void io_input_stop(IoInput *input);

/*
 * Looks for the frames of a file of zstd whose seek table is missing or wrong, so
 * that it can be read at any place, and no more by io_input_read().  A table that
 * there is stays if not all of its frames are found.  False: it can't be read,
 * or, of kind USAGE, it is no such file or has no frames for that, or, of kind
 * DAMAGED, none although it has a table, or, of kind INCOMPLETE, it is cut within
 * the first one.
 */
bool io_input_find_frames(IoInput *input, GError **error);

/*
 * Of an input that has frames: whether they end where they should, before a seek
 * table, or where the file is cut.  False: it can't be read, or there is a frame
 * that is not for that, of kind USAGE, or no frame, of kind DAMAGED.
 */
bool io_input_check_rest(const IoInput *input, GError **error);

/* Whether both would succeed; nothing is changed by it. */
bool io_input_can_find_frames(const IoInput *input, GError **error);

/* Whether it can be read at any place. */
bool io_input_is_seekable(const IoInput *input);

/*
 * Reads a seekable input, which is borrowed, at any place, apart from
 * io_input_read(); as io_pread().  One of these is for one thread, and several
 * threads may have one each.  Of what is compressed it keeps a frame, of
 * io_input_frame_bytes() bytes at the most (0: it is plain).
 */
typedef struct IoInputCursor IoInputCursor;

IoInputCursor *io_input_cursor_new(IoInput *input);
void io_input_cursor_free(IoInputCursor *cursor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoInputCursor, io_input_cursor_free)
bool io_input_cursor_read(IoInputCursor *cursor, void *buffer, size_t bytes,
                          uint64_t offset, size_t *got, GError **error);
uint32_t io_input_frame_bytes(const IoInput *input);

/*
 * Tells for which places the cursor is going to be read, in the order of the
 * calls, so that the input's threads can be ahead of it.  OFFSETS is of uint64_t;
 * a call goes no further than the frame that its place is in, and calls for one
 * frame that follow each other need be told once.  Calls for other places in
 * between cost nothing but time.  Called once, for one cursor of an input, and
 * io_input_read() and io_input_stop() not any more after it.
 */
void io_input_cursor_expect(IoInputCursor *cursor, const GArray *offsets);

/*
 * How many bytes there are to read, and how many of them io_input_read() has
 * given.  Where it is not known how many they are, both are of the file, or the
 * first is 0.
 */
uint64_t io_input_bytes(const IoInput *input);
uint64_t io_input_bytes_read(const IoInput *input);

bool io_input_is_compressed(const IoInput *input);

/* The file's first bytes, for who wants to know what else it may be. */
#define IO_INPUT_HEAD_BYTES 4u
size_t io_input_head(const IoInput *input, uint8_t head[IO_INPUT_HEAD_BYTES]);

/*
 * After all of it was read, whether a file has several frames of zstd, as one
 * with a seek table has, and no such table, not even one that is wrong.
 */
bool io_input_lacks_table(const IoInput *input);

/* NULL: there is none, or it is not usable. */
const IoZstdTable *io_input_table(const IoInput *input);

/* Also one that is right by itself, but whose frames are too large to use. */
const IoZstdTable *io_input_any_table(const IoInput *input);

#endif /* IO_INPUT_H */
