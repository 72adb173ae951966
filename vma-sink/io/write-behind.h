/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes buffers to an output in order, behind the caller's back: a thread
 * copies one to the file while the caller fills the next one, which takes the
 * same time where the file is in memory, or in the system's cache.
 *
 * Where the output is no regular file nothing is gained, and a thread that
 * waits for the reader of a pipe could not be woken up by a signal: there a
 * buffer is written when it is given.
 */
#ifndef IO_WRITE_BEHIND_H
#define IO_WRITE_BEHIND_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/output.h"

typedef struct IoWriteBehind IoWriteBehind;

/*
 * OUTPUT is borrowed, and left alone by all others from the first buffer that
 * is given on, until all are drained.  ROOM_BYTES is the size of a buffer.
 */
IoWriteBehind *io_write_behind_new(IoOutput *output, size_t room_bytes,
                                   GError **error);

/* At any moment: waits for the write that is under way, and drops the rest. */
void io_write_behind_free(IoWriteBehind *behind);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoWriteBehind, io_write_behind_free)

/*
 * The next buffer to fill, valid until it is given; until then it is the same
 * one.  NULL: a write, maybe of an earlier buffer, has failed, or a signal came,
 * and this can only be freed any more; so it is for all functions here.
 */
uint8_t *io_write_behind_room(IoWriteBehind *behind, GError **error);

/*
 * Gives the first BYTES bytes of that buffer.  A few bytes wait for more, until
 * they are worth a write, or drained.
 */
bool io_write_behind_give(IoWriteBehind *behind, size_t bytes, GError **error);

/* Waits until all that was given has reached the output. */
bool io_write_behind_drain(IoWriteBehind *behind, GError **error);

#endif /* IO_WRITE_BEHIND_H */
