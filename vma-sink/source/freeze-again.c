/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Thaws in the background.  How often that is tried is decided in freeze.c.
 */
#include "source/freeze-again.h"

#include <pthread.h>
#include <signal.h>

#include "backup/error.h"

#define POLL_US (200 * 1000)

struct FreezeAgain {
    /* Set at creation, never changed. */
    Freeze *freeze;
    GThread *thread;

    int stop;                   /* atomic */
};

static gpointer run(gpointer opaque)
{
    FreezeAgain *a = opaque;

    while (!g_atomic_int_get(&a->stop) && freeze_is_on(a->freeze)) {
        g_usleep(POLL_US);
        freeze_thaw_again(a->freeze);
    }
    return NULL;
}

/* Signals are for the thread that writes the stream, to wake it up. */
bool freeze_again_start(Freeze *freeze, FreezeAgain **again, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree FreezeAgain *a = NULL;
    sigset_t all, old;

    *again = NULL;
    if (!freeze_is_on(freeze)) {
        return true;
    }
    a = g_new0(FreezeAgain, 1);
    a->freeze = freeze;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    a->thread = g_thread_try_new("thaw", run, a, &local);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!a->thread) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start a thread: %s", local->message);
        return false;
    }
    *again = g_steal_pointer(&a);
    return true;
}

void freeze_again_stop(FreezeAgain *a)
{
    if (a) {
        g_atomic_int_set(&a->stop, 1);
        g_thread_join(a->thread);
        g_free(a);
    }
}
