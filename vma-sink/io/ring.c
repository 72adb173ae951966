/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pieces of work for threads, in a ring.  Three counters say how far it is:
 *
 *     retired <= taken <= given <= retired + slots
 *
 * The caller waits for a thread that works, looking for signals meanwhile.
 * Threads wait for work or for the order to stop.
 */
#include "io/ring.h"

#include <pthread.h>
#include <signal.h>

#include "backup/error.h"
#include "io/io.h"

/* A signal does not end the wait for a thread, so it is looked for. */
#define SIGNAL_LATENCY_US (G_USEC_PER_SEC / 10)

typedef struct Worker {
    IoRing *ring;
    void *worker;               /* the caller's */
    GThread *thread;
} Worker;

struct IoRing {
    /* Set at creation, never changed. */
    IoRingFunc *func;
    void *opaque;
    unsigned slots;
    Worker *workers;
    unsigned worker_count;

    uint64_t retired;           /* the caller's */

    GMutex lock;
    GCond work;                 /* given or stop has changed */
    GCond done_one;             /* one of done was set */
    /* Protected by lock; but only the caller changes given. */
    uint64_t given;
    uint64_t taken;
    bool stop;                  /* take no more pieces */
    bool *done;                 /* of the piece in each slot */
};

static void *work(void *opaque)
{
    Worker *worker = opaque;
    IoRing *r = worker->ring;

    g_mutex_lock(&r->lock);
    for (;;) {
        uint64_t number;

        while (!r->stop && r->taken == r->given) {
            g_cond_wait(&r->work, &r->lock);
        }
        if (r->stop) {
            break;
        }
        number = r->taken++;
        g_mutex_unlock(&r->lock);
        r->func(r->opaque, worker->worker, number);
        g_mutex_lock(&r->lock);
        r->done[io_ring_slot(r, number)] = true;
        g_cond_signal(&r->done_one);
    }
    g_mutex_unlock(&r->lock);
    return NULL;
}

static bool start_worker(Worker *worker, GError **error)
{
    g_autoptr(GError) local = NULL;

    worker->thread = g_thread_try_new("ring", work, worker, &local);
    if (!worker->thread) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start a thread: %s", local->message);
    }
    return worker->thread != NULL;
}

/* Signals are for the caller's thread, whose calls they are to interrupt. */
static bool start_workers(IoRing *r, void *const *workers, GError **error)
{
    sigset_t all, old;
    bool ok = true;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    for (unsigned i = 0; ok && i < r->worker_count; i++) {
        r->workers[i].ring = r;
        r->workers[i].worker = workers[i];
        ok = start_worker(&r->workers[i], error);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return ok;
}

IoRing *io_ring_new(IoRingFunc *func, void *opaque, void *const *workers,
                    unsigned count, unsigned slots, GError **error)
{
    g_autoptr(IoRing) r = g_new0(IoRing, 1);

    r->func = func;
    r->opaque = opaque;
    r->slots = slots;
    r->done = g_new0(bool, slots);
    r->workers = g_new0(Worker, count);
    r->worker_count = count;
    g_mutex_init(&r->lock);
    g_cond_init(&r->work);
    g_cond_init(&r->done_one);
    return start_workers(r, workers, error) ? g_steal_pointer(&r) : NULL;
}

void io_ring_free(IoRing *r)
{
    if (!r) {
        return;
    }
    io_ring_stop(r);
    for (unsigned i = 0; i < r->worker_count; i++) {
        if (r->workers[i].thread) {
            g_thread_join(r->workers[i].thread);
        }
    }
    g_free(r->workers);
    g_free(r->done);
    g_mutex_clear(&r->lock);
    g_cond_clear(&r->work);
    g_cond_clear(&r->done_one);
    g_free(r);
}

void io_ring_stop(IoRing *r)
{
    g_mutex_lock(&r->lock);
    r->stop = true;
    g_cond_broadcast(&r->work);
    g_mutex_unlock(&r->lock);
}

bool io_ring_is_stopped(IoRing *r)
{
    bool stop;

    g_mutex_lock(&r->lock);
    stop = r->stop;
    g_mutex_unlock(&r->lock);
    return stop;
}

unsigned io_ring_slot(const IoRing *r, uint64_t number)
{
    return number % r->slots;
}

uint64_t io_ring_next(const IoRing *r)
{
    return r->given;
}

uint64_t io_ring_oldest(const IoRing *r)
{
    return r->retired;
}

bool io_ring_is_full(const IoRing *r)
{
    return r->given == r->retired + r->slots;
}

void io_ring_give(IoRing *r)
{
    g_assert(!io_ring_is_full(r));
    g_mutex_lock(&r->lock);
    r->done[io_ring_slot(r, r->given)] = false;
    r->given++;
    g_cond_signal(&r->work);
    g_mutex_unlock(&r->lock);
}

bool io_ring_is_ready(IoRing *r)
{
    bool ready;

    g_mutex_lock(&r->lock);
    ready = r->retired < r->given && r->done[io_ring_slot(r, r->retired)];
    g_mutex_unlock(&r->lock);
    return ready;
}

bool io_ring_wait(IoRing *r, GError **error)
{
    const bool *done = &r->done[io_ring_slot(r, r->retired)];
    bool interrupted = false;

    g_assert(r->retired < r->given);
    g_mutex_lock(&r->lock);
    while (!*done && !interrupted) {
        g_cond_wait_until(&r->done_one, &r->lock,
                          g_get_monotonic_time() + SIGNAL_LATENCY_US);
        interrupted = !*done && io_interrupted(error);
    }
    g_mutex_unlock(&r->lock);
    return !interrupted;
}

void io_ring_retire(IoRing *r)
{
    g_assert(r->retired < r->given);
    r->retired++;
}
