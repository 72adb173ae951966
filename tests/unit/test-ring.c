/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring: every piece is done once and comes back in order, by however many
 * threads; none is taken before it is given or after the order to stop, and a
 * piece that takes long holds up nobody but those behind it.
 */
#include <signal.h>
#include <string.h>

#include "io/ring.h"
#include "util.h"

#define SLOTS 5u
#define PIECES 1000u

typedef struct Pieces {
    IoRing *ring;
    uint64_t in[SLOTS];         /* set by who gives */
    uint64_t out[SLOTS];        /* set by who does it */
    GMutex gate;                /* pieces that are multiples of 7 wait for it */
    int started;
} Pieces;

static void square(void *opaque, void *worker, uint64_t number)
{
    Pieces *p = opaque;
    unsigned slot = io_ring_slot(p->ring, number);

    g_atomic_int_inc(&p->started);
    if (number % 7 == 0) {
        g_mutex_lock(&p->gate);
        g_mutex_unlock(&p->gate);
    }
    p->out[slot] = p->in[slot] * p->in[slot];
    g_atomic_int_inc((int *)worker);
}

static void start(Pieces *p, int *counts, unsigned threads)
{
    g_autoptr(GError) error = NULL;
    void *workers[4];

    memset(p, 0, sizeof(*p));
    memset(counts, 0, threads * sizeof(*counts));
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = &counts[i];
    }
    g_mutex_init(&p->gate);
    p->ring = io_ring_new(square, p, workers, threads, SLOTS, &error);
    g_assert_no_error(error);
}

static void end(Pieces *p)
{
    io_ring_free(p->ring);
    g_mutex_clear(&p->gate);
}

static void give(Pieces *p)
{
    uint64_t number = io_ring_next(p->ring);

    p->in[io_ring_slot(p->ring, number)] = number + 3;
    io_ring_give(p->ring);
}

static void take_back(Pieces *p)
{
    uint64_t number = io_ring_oldest(p->ring);

    g_assert_true(io_ring_wait(p->ring, NULL));
    g_assert_true(io_ring_is_ready(p->ring));
    g_assert_cmpuint(p->out[io_ring_slot(p->ring, number)], ==,
                     (number + 3) * (number + 3));
    io_ring_retire(p->ring);
}

static void test_order(gconstpointer data)
{
    unsigned threads = GPOINTER_TO_UINT(data);
    int counts[4], sum = 0;
    Pieces p;

    start(&p, counts, threads);
    for (unsigned i = 0; i < PIECES; i++) {
        if (io_ring_is_full(p.ring)) {
            take_back(&p);
        }
        give(&p);
    }
    while (io_ring_oldest(p.ring) < PIECES) {
        take_back(&p);
    }
    g_assert_false(io_ring_is_ready(p.ring));
    g_assert_cmpuint(io_ring_next(p.ring), ==, PIECES);
    for (unsigned i = 0; i < threads; i++) {
        sum += counts[i];
    }
    g_assert_cmpint(sum, ==, PIECES);
    end(&p);
}

/* Number 0 takes long: the others are done meanwhile, and not given back. */
static void test_slow_piece(void)
{
    int counts[2];
    Pieces p;

    start(&p, counts, 2);
    g_mutex_lock(&p.gate);
    while (!io_ring_is_full(p.ring)) {
        give(&p);
    }
    while (g_atomic_int_get(&counts[0]) + g_atomic_int_get(&counts[1]) <
           (int)SLOTS - 1) {
        g_usleep(1000);
    }
    g_assert_false(io_ring_is_ready(p.ring));
    g_mutex_unlock(&p.gate);
    for (unsigned i = 0; i < SLOTS; i++) {
        take_back(&p);
    }
    end(&p);
}

/* What was not taken yet is dropped. */
static void test_stop(void)
{
    int counts[1];
    Pieces p;

    start(&p, counts, 1);
    g_mutex_lock(&p.gate);
    give(&p);
    give(&p);
    while (g_atomic_int_get(&p.started) == 0) {
        g_usleep(1000);
    }
    g_assert_false(io_ring_is_stopped(p.ring));
    io_ring_stop(p.ring);
    g_assert_true(io_ring_is_stopped(p.ring));
    g_mutex_unlock(&p.gate);
    end(&p);
    g_assert_cmpint(p.started, ==, 1);
    g_assert_cmpint(counts[0], ==, 1);
}

/* A wait for a piece that is never done ends with a signal. */
static void test_signal(void)
{
    g_autoptr(GError) error = NULL;
    int counts[1];
    Pieces p;

    start(&p, counts, 1);
    g_mutex_lock(&p.gate);
    give(&p);
    io_catch_signals();
    raise(SIGTERM);
    g_assert_false(io_ring_wait(p.ring, &error));
    g_assert_cmpstr(error->message, ==, "interrupted by SIGTERM");
    io_clear_interrupt();
    g_mutex_unlock(&p.gate);
    end(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/ring/order/one-thread", GUINT_TO_POINTER(1),
                         test_order);
    g_test_add_data_func("/ring/order/threads", GUINT_TO_POINTER(4),
                         test_order);
    g_test_add_func("/ring/a-slow-piece-holds-up-the-next", test_slow_piece);
    g_test_add_func("/ring/stop-drops-the-rest", test_stop);
    g_test_add_func("/ring/a-signal-ends-the-wait", test_signal);
    return g_test_run();
}
