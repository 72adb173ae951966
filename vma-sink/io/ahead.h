/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces of data that are made ahead of their use by other threads, and come
 * out in order.  What the pieces are is not known here.
 *
 * There are as many buffers as were asked for, so the threads are ahead by no
 * more than that, and memory stays what it is.
 */
#ifndef IO_AHEAD_H
#define IO_AHEAD_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IoAhead IoAhead;

/* In place of a number of bytes: there are no more pieces. */
#define IO_AHEAD_END SIZE_MAX

/*
 * Makes the piece NUMBER: 0, 1, ... in the BUFFER, of the size of all buffers,
 * and sets *bytes, or IO_AHEAD_END for this and all higher numbers.  WORKER is the
 * thread's own.  Called in a thread that no signal interrupts, so it must not
 * wait for anything that may never come, unless somebody ends that before
 * io_ahead_free() is called.
 */
typedef bool IoAheadFunc(void *worker, uint64_t number, void *buffer,
                         size_t *bytes, GError **error);

/* A thread for each of the COUNT workers, which are borrowed. */
IoAhead *io_ahead_new(IoAheadFunc *func, void *const *workers, unsigned count,
                      unsigned buffers, size_t buffer_bytes, GError **error);

/* Waits for the pieces that are being made. */
void io_ahead_free(IoAhead *ahead);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoAhead, io_ahead_free)

/*
 * The next piece, which is the caller's until the next call, or IO_AHEAD_END.
 * False: it could not be made; the call after this one is about the piece after
 * it.  Or a signal came (io/io.h).
 */
bool io_ahead_next(IoAhead *ahead, uint8_t **data, size_t *bytes,
                   GError **error);

#endif /* IO_AHEAD_H */
