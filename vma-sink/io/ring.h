/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces of work for threads that come back in their order.  A piece has a slot
 * of a ring, in which whoever has the piece keeps what belongs to it; what that
 * is is not known here.
 *
 * The caller gives the pieces 0, 1, ...; the first idle thread takes the next
 * one; the caller gets them back in the same order, whichever is done first,
 * and retires them, which makes their slots free.  So a slot is the caller's
 * until its piece is given, then a thread's, and the caller's again once
 * io_ring_wait() has returned for it.
 */
#ifndef IO_RING_H
#define IO_RING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct IoRing IoRing;

/*
 * Does the piece NUMBER.  WORKER is the thread's own.  Called in a thread that
 * no signal interrupts, so it must not wait for anything that may never come,
 * unless somebody ends that before io_ring_free() is called.
 */
typedef void IoRingFunc(void *opaque, void *worker, uint64_t number);

/* A thread for each of the COUNT workers, which are borrowed, as OPAQUE is. */
IoRing *io_ring_new(IoRingFunc *func, void *opaque, void *const *workers,
                    unsigned count, unsigned slots, GError **error);

/* Waits for the pieces that are being done; those not taken yet are dropped. */
void io_ring_free(IoRing *ring);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoRing, io_ring_free)

/* No more pieces are taken from now on.  By any thread. */
void io_ring_stop(IoRing *ring);
bool io_ring_is_stopped(IoRing *ring);

/* The slot of a piece, from 0 on. */
unsigned io_ring_slot(const IoRing *ring, uint64_t number);

/*
 * The rest is the caller's.  The next piece to give, and the oldest one that
 * was given and is not retired; they are the same if there is none.
 */
uint64_t io_ring_next(const IoRing *ring);
uint64_t io_ring_oldest(const IoRing *ring);

/* Whether the next piece has no free slot. */
bool io_ring_is_full(const IoRing *ring);

/* Gives the next piece. */
void io_ring_give(IoRing *ring);

/* Whether the oldest piece, if there is one, is done. */
bool io_ring_is_ready(IoRing *ring);

/* Waits until it is.  False: a signal came (io/io.h). */
bool io_ring_wait(IoRing *ring, GError **error);

/* The oldest piece, which is done, is used. */
void io_ring_retire(IoRing *ring);

#endif /* IO_RING_H */
