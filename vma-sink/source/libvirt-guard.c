/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt has no limit for a scratch image, and QEMU's answer to one that can't
 * be written is, as for any disk, what the guest's disk is set to: by default
 * the guest is paused where there is no space, and its write is tried again
 * when it goes on.  By then the write needs no copy any more.
 */
#include "source/libvirt-guard.h"

#include <pthread.h>
#include <signal.h>

#include "backup/error.h"
#include "source/libvirt-disks.h"
#include "source/libvirt-job.h"

/*
 * How often the images are looked at; and which of these times libvirt is
 * asked.
 */
#define LOOK_US (50 * 1000)
#define ASK_EVERY 5

struct LibvirtGuard {
    /* Set at creation, never changed. */
    LibvirtGuest *guest;
    const LibvirtScratch *scratch;
    const GPtrArray *disks;
    const char *folder;
    bool resume;
    GThread *thread;

    GMutex lock;
    GCond changed;
    bool stop;                  /* protected by lock, as is */
    char *failure;
};

/* Once; takes over FAILURE. */
static void set_failure(LibvirtGuard *g, char *failure)
{
    g_mutex_lock(&g->lock);
    g->failure = failure;
    g_mutex_unlock(&g->lock);
}

/* Whether it is over within that time. */
static bool stops(LibvirtGuard *g, int64_t us)
{
    int64_t until_us = g_get_monotonic_time() + us;
    bool stop;

    g_mutex_lock(&g->lock);
    while (!g->stop && g_cond_wait_until(&g->changed, &g->lock, until_us)) {
    }
    stop = g->stop;
    g_mutex_unlock(&g->lock);
    return stop;
}

/* Images that take too much. */
static bool look_at_images(LibvirtGuard *g)
{
    unsigned index;
    const LibvirtDisk *disk;

    if (!libvirt_scratch_is_full(g->scratch, &index)) {
        return true;
    }
    disk = g_ptr_array_index(g->disks, index);
    set_failure(g, g_strdup_printf("the temporary image of disk '%s' in '%s' "
                                   "takes more than --fleecing-size",
                                   disk->name, g->folder));
    return false;
}

static char *explain_io_error(const LibvirtGuard *g)
{
    return libvirt_scratch_no_space(g->scratch)
           ? g_strdup_printf("a temporary image in '%s' has failed: No space "
                             "left on device", g->folder)
           : g_strdup("the guest was paused because of an I/O error");
}

/*
 * What libvirt can't tell now it may tell later, at the latest in the end.  A
 * guest that is shut off has lost its job before or at that moment.
 */
static bool ask_libvirt(LibvirtGuard *g)
{
    LibvirtState state;
    bool is_mine;
    char *failure = NULL;

    if (!libvirt_job_is_mine(g->guest, g->scratch, &is_mine, NULL) ||
        !libvirt_guest_state(g->guest, &state, NULL)) {
        return true;
    }
    if (state == LIBVIRT_OFF) {
        failure = g_strdup("the guest was shut off");
    } else if (state == LIBVIRT_IO_ERROR && g->resume) {
        failure = explain_io_error(g);
    } else if (!is_mine) {
        failure = g_strdup("somebody has ended the backup in libvirt");
    }
    if (failure) {
        set_failure(g, failure);
    }
    return !failure;
}

static bool rescue_guest(LibvirtGuard *g)
{
    return libvirt_job_end(g->guest, g->scratch, NULL) &&
           (!g->resume || libvirt_job_resume(g->guest, NULL));
}

static void *run_guard(void *opaque)
{
    LibvirtGuard *g = opaque;
    unsigned looks = 0;
    bool ended = false;

    while (!stops(g, LOOK_US)) {
        ended = ended || !look_at_images(g) ||
                (++looks % ASK_EVERY == 0 && !ask_libvirt(g));
        if (ended && rescue_guest(g)) {
            break;
        }
    }
    return NULL;
}

LibvirtGuard *libvirt_guard_new(LibvirtGuest *guest,
                                const LibvirtScratch *scratch,
                                const GPtrArray *disks, const char *folder,
                                bool resume, GError **error)
{
    LibvirtGuard *g = g_new0(LibvirtGuard, 1);
    g_autoptr(GError) local = NULL;
    sigset_t all, old;

    g->guest = guest;
    g->scratch = scratch;
    g->disks = disks;
    g->folder = folder;
    g->resume = resume;
    g_mutex_init(&g->lock);
    g_cond_init(&g->changed);
    /* Signals are for the thread that can deal with them. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    g->thread = g_thread_try_new("guard", run_guard, g, &local);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!g->thread) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start a thread: %s", local->message);
        libvirt_guard_free(g);
        return NULL;
    }
    return g;
}

void libvirt_guard_free(LibvirtGuard *g)
{
    if (g) {
        g_mutex_lock(&g->lock);
        g->stop = true;
        g_cond_signal(&g->changed);
        g_mutex_unlock(&g->lock);
        if (g->thread) {
            g_thread_join(g->thread);
        }
        g_mutex_clear(&g->lock);
        g_cond_clear(&g->changed);
        g_free(g->failure);
        g_free(g);
    }
}

char *libvirt_guard_failure(LibvirtGuard *g)
{
    char *failure;

    g_mutex_lock(&g->lock);
    failure = g_strdup(g->failure);
    g_mutex_unlock(&g->lock);
    return failure;
}
