/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces made ahead, in a ring of slots.  A thread takes the next number whose
 * slot is free, and fills it; the caller uses the slots in order:
 *
 *     used <= taken <= used + slots
 *
 * A slot is the thread's that took it until "done" is set, then the caller's
 * until "used" has passed it.
 */
#include "io/ahead.h"

#include <pthread.h>
#include <signal.h>

#include "backup/error.h"
#include "io/io.h"

/* A signal does not end the wait for a thread, so it is looked for. */
#define SIGNAL_LATENCY_US (G_USEC_PER_SEC / 10)

typedef struct Slot {
    uint8_t *buffer;
    size_t bytes;
    GError *error;
    bool done;                  /* protected by lock */
} Slot;

typedef struct Worker {
    IoAhead *ahead;
    void *opaque;
    GThread *thread;
} Worker;

struct IoAhead {
    /* Set at creation, never changed. */
    IoAheadFunc *func;
    Slot *slots;
    unsigned slot_count;
    Worker *workers;
    unsigned worker_count;

    bool in_use;                /* the caller's: the slot of "used" */

    GMutex lock;
    GCond freed;                /* used or stop has changed */
    GCond done;                 /* a slot's done was set */
    /* Protected by lock. */
    uint64_t used;
    uint64_t taken;
    bool stop;                  /* take no more numbers */
};

static Slot *slot_of(IoAhead *a, uint64_t number)
{
    return &a->slots[number % a->slot_count];
}

static void *work(void *opaque)
{
    Worker *worker = opaque;
    IoAhead *a = worker->ahead;

    g_mutex_lock(&a->lock);
    for (;;) {
        uint64_t number;
        Slot *slot;
        bool ok;

        while (!a->stop && a->taken == a->used + a->slot_count) {
            g_cond_wait(&a->freed, &a->lock);
        }
        if (a->stop) {
            break;
        }
        number = a->taken++;
        slot = slot_of(a, number);
        g_mutex_unlock(&a->lock);
        ok = a->func(worker->opaque, number, slot->buffer, &slot->bytes,
                     &slot->error);
        g_mutex_lock(&a->lock);
        if (ok && slot->bytes == IO_AHEAD_END) {
            a->stop = true;
            g_cond_broadcast(&a->freed);
        }
        slot->done = true;
        g_cond_signal(&a->done);
    }
    g_mutex_unlock(&a->lock);
    return NULL;
}

static bool start_worker(Worker *worker, GError **error)
{
    g_autoptr(GError) local = NULL;

    worker->thread = g_thread_try_new("ahead", work, worker, &local);
    if (!worker->thread) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start a thread: %s", local->message);
    }
    return worker->thread != NULL;
}

/* Signals are for the caller's thread, whose calls they are to interrupt. */
static bool start_workers(IoAhead *a, void *const *workers, unsigned count,
                          GError **error)
{
    sigset_t all, old;
    bool ok = true;

    a->workers = g_new0(Worker, count);
    a->worker_count = count;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (unsigned i = 0; ok && i < count; i++) {
        a->workers[i].ahead = a;
        a->workers[i].opaque = workers[i];
        ok = start_worker(&a->workers[i], error);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ok;
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
    g_mutex_init(&a->lock);
    g_cond_init(&a->freed);
    g_cond_init(&a->done);
    if (!allocate_slots(a, buffers, buffer_bytes, error) ||
        !start_workers(a, workers, count, error)) {
        return NULL;
    }
    return g_steal_pointer(&a);
}

void io_ahead_free(IoAhead *a)
{
    if (!a) {
        return;
    }
    g_mutex_lock(&a->lock);
    a->stop = true;
    g_cond_broadcast(&a->freed);
    g_mutex_unlock(&a->lock);
    for (unsigned i = 0; i < a->worker_count; i++) {
        if (a->workers[i].thread) {
            g_thread_join(a->workers[i].thread);
        }
    }
    g_free(a->workers);
    for (unsigned i = 0; i < a->slot_count; i++) {
        g_clear_error(&a->slots[i].error);
        g_free(a->slots[i].buffer);
    }
    g_free(a->slots);
    g_mutex_clear(&a->lock);
    g_cond_clear(&a->freed);
    g_cond_clear(&a->done);
    g_free(a);
}

/* Called with lock held: the caller has no more use for the current slot. */
static void release(IoAhead *a)
{
    Slot *slot = slot_of(a, a->used);

    slot->done = false;
    a->used++;
    a->in_use = false;
    g_cond_signal(&a->freed);
}

/* False: a signal came. */
static bool wait_for(IoAhead *a, const Slot *slot, GError **error)
{
    bool interrupted = false;

    while (!slot->done && !interrupted) {
        g_cond_wait_until(&a->done, &a->lock,
                          g_get_monotonic_time() + SIGNAL_LATENCY_US);
        interrupted = !slot->done && io_interrupted(error);
    }
    return !interrupted;
}

bool io_ahead_next(IoAhead *a, const uint8_t **data, size_t *bytes,
                   GError **error)
{
    bool ok;
    Slot *slot;

    *bytes = 0;
    g_mutex_lock(&a->lock);
    if (a->in_use) {
        release(a);
    }
    slot = slot_of(a, a->used);
    ok = wait_for(a, slot, error);
    g_mutex_unlock(&a->lock);
    if (!ok) {
        return false;
    }
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
