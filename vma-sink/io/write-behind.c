/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers written by a thread: of a ring (io/ring.h), in which the one thread's
 * work is to write what it was given.
 *
 * The thread's write is not interrupted by a signal, nor are most writes to a
 * file; who waits for it, in room() or drain(), looks for signals.
 */
#include "io/write-behind.h"

#include "io/ring.h"

/* One is filled, one is written, and one makes up for their different speed. */
#define SLOTS 3u
/* With less than this nobody is woken up: extents of zeroes have 512 bytes. */
#define WORTH_BYTES (256u << 10)

typedef struct Slot {
    uint8_t *buffer;            /* NULL: not needed yet */
    size_t bytes;               /* filled, maybe more than once */
    GError *error;              /* of its write */
} Slot;

struct IoWriteBehind {
    IoOutput *output;           /* borrowed */
    size_t room_bytes;
    IoRing *ring;               /* NULL: the caller writes the first slot */
    Slot slots[SLOTS];
};

static Slot *slot_of(IoWriteBehind *b, uint64_t number)
{
    return &b->slots[io_ring_slot(b->ring, number)];
}

/* IoRingFunc: nothing is written behind what could not be. */
static void write_slot(void *opaque, void *worker, uint64_t number)
{
    IoWriteBehind *b = opaque;
    Slot *slot = slot_of(b, number);

    (void)worker;
    if (!io_output_write(b->output, slot->buffer, slot->bytes, &slot->error)) {
        io_ring_stop(b->ring);
    }
}

IoWriteBehind *io_write_behind_new(IoOutput *output, size_t room_bytes,
                                   GError **error)
{
    g_autoptr(IoWriteBehind) b = g_new0(IoWriteBehind, 1);
    void *no_worker = NULL;

    b->output = output;
    b->room_bytes = room_bytes;
    if (io_output_is_file(output)) {
        b->ring = io_ring_new(write_slot, b, &no_worker, 1, SLOTS, error);
        if (!b->ring) {
            return NULL;
        }
    }
    return g_steal_pointer(&b);
}

void io_write_behind_free(IoWriteBehind *b)
{
    if (!b) {
        return;
    }
    io_ring_free(b->ring);
    for (unsigned i = 0; i < SLOTS; i++) {
        g_clear_error(&b->slots[i].error);
        g_free(b->slots[i].buffer);
    }
    g_free(b);
}

/* Waits for the oldest buffer that was given. */
static bool retire_oldest(IoWriteBehind *b, GError **error)
{
    Slot *slot = slot_of(b, io_ring_oldest(b->ring));

    if (!io_ring_wait(b->ring, error)) {
        return false;
    }
    if (slot->error) {
        g_propagate_error(error, g_steal_pointer(&slot->error));
        return false;
    }
    slot->bytes = 0;
    io_ring_retire(b->ring);
    return true;
}

uint8_t *io_write_behind_room(IoWriteBehind *b, GError **error)
{
    Slot *slot;

    /* Also what is written already, for an error of it to be told soon. */
    while (b->ring &&
           (io_ring_is_full(b->ring) || io_ring_is_ready(b->ring))) {
        if (!retire_oldest(b, error)) {
            return NULL;
        }
    }
    slot = b->ring ? slot_of(b, io_ring_next(b->ring)) : &b->slots[0];
    if (!slot->buffer) {
        slot->buffer = g_malloc(WORTH_BYTES + b->room_bytes);
    }
    return slot->buffer + slot->bytes;
}

bool io_write_behind_give(IoWriteBehind *b, size_t bytes, GError **error)
{
    Slot *slot;

    if (!b->ring) {
        return io_output_write(b->output, b->slots[0].buffer, bytes, error);
    }
    slot = slot_of(b, io_ring_next(b->ring));
    slot->bytes += bytes;
    if (slot->bytes >= WORTH_BYTES) {
        io_ring_give(b->ring);
    }
    return true;
}

bool io_write_behind_drain(IoWriteBehind *b, GError **error)
{
    if (b->ring && !io_ring_is_full(b->ring) &&
        slot_of(b, io_ring_next(b->ring))->bytes > 0) {
        io_ring_give(b->ring);
    }
    while (b->ring && io_ring_oldest(b->ring) < io_ring_next(b->ring)) {
        if (!retire_oldest(b, error)) {
            return false;
        }
    }
    return true;
}
