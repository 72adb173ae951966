/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces made ahead: of a ring (io/ring.h), in which every slot that is free is
 * given to the threads at once, to be filled.
 */
#include "io/ahead.h"

#include "backup/error.h"
#include "io/ring.h"

typedef struct Slot {
    uint8_t *buffer;
    size_t bytes;
    GError *error;
} Slot;

struct IoAhead {
    /* Set at creation, never changed. */
    IoAheadFunc *func;
    Slot *slots;
    unsigned slot_count;
    IoRing *ring;

    bool in_use;                /* by the caller: the oldest slot */
};

/* IoRingFunc */
static void make_piece(void *opaque, void *worker, uint64_t number)
{
    IoAhead *a = opaque;
    Slot *slot = &a->slots[io_ring_slot(a->ring, number)];
    bool ok = a->func(worker, number, slot->buffer, &slot->bytes,
                      &slot->error);

    if (ok && slot->bytes == IO_AHEAD_END) {
        io_ring_stop(a->ring);
    }
}

/* What is never written to takes no memory from the system. */
static bool allocate_slots(IoAhead *a, unsigned count, size_t bytes,
                           GError **error)
{
    a->slots = g_new0(Slot, count);
    a->slot_count = count;
    for (unsigned i = 0; i < count; i++) {
        a->slots[i].buffer = g_try_malloc(bytes);
        if (!a->slots[i].buffer) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "there is not enough memory for %u buffers of %zu "
                        "bytes", count, bytes);
            return false;
        }
    }
    return true;
}

IoAhead *io_ahead_new(IoAheadFunc *func, void *const *workers, unsigned count,
                      unsigned buffers, size_t buffer_bytes, GError **error)
{
    g_autoptr(IoAhead) a = g_new0(IoAhead, 1);

    a->func = func;
    if (!allocate_slots(a, buffers, buffer_bytes, error)) {
        return NULL;
    }
    a->ring = io_ring_new(make_piece, a, workers, count, buffers, error);
    if (!a->ring) {
        return NULL;
    }
    while (!io_ring_is_full(a->ring)) {
        io_ring_give(a->ring);
    }
    return g_steal_pointer(&a);
}

void io_ahead_free(IoAhead *a)
{
    if (!a) {
        return;
    }
    io_ring_free(a->ring);
    for (unsigned i = 0; i < a->slot_count; i++) {
        g_clear_error(&a->slots[i].error);
        g_free(a->slots[i].buffer);
    }
    g_free(a->slots);
    g_free(a);
}

bool io_ahead_next(IoAhead *a, uint8_t **data, size_t *bytes, GError **error)
{
    Slot *slot;

    *bytes = 0;
    if (a->in_use) {
        io_ring_retire(a->ring);
        io_ring_give(a->ring);
        a->in_use = false;
    }
    if (!io_ring_wait(a->ring, error)) {
        return false;
    }
    slot = &a->slots[io_ring_slot(a->ring, io_ring_oldest(a->ring))];
    if (slot->error) {
        g_propagate_error(error, g_steal_pointer(&slot->error));
        a->in_use = true;
        return false;
    }
    /* The end stays where it is. */
    a->in_use = slot->bytes != IO_AHEAD_END;
    *data = slot->buffer;
    *bytes = slot->bytes;
    return true;
}
