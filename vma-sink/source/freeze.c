/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Freezes the guest's file systems and sees to it that they are thawed.
 *
 * In between nothing may wait without a limit, and that goes for messages, too:
 * who reads them may be stopped, or be the guest.  So only cli_note() is used
 * here, and progress_clear() not before they are thawed.
 */
#include "source/freeze.h"

#include <inttypes.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"
#include "source/agent.h"

/* An agent that takes longer for next to nothing is not to be relied on. */
#define AGENT_SECONDS 5
/* The guest writes back all that it has not written yet. */
#define FREEZE_SECONDS 60
/*
 * A thaw writes to disks, so it may be held up by the backup itself, which a
 * slow reader holds up: it is tried again while the backup runs, and at its
 * end.
 */
#define THAW_SECONDS 10
#define THAW_AGAIN_SECONDS 1
#define THAW_PERIOD_US (10 * G_USEC_PER_SEC)
#define THAW_LAST_SECONDS 30

struct Freeze {
    /* Set at creation, never changed. */
    const FreezeAgent *kind;
    void *agent;
    Progress *progress;
    FreezeSignalFunc *on_signal;
    void *opaque;

    int64_t file_systems;       /* that were frozen; -1: not known */
    int64_t thaw_again_us;      /* not before that, while the backup runs */
    bool warned;
};

Freeze *freeze_new_by(const FreezeAgent *kind, void *agent, Progress *progress,
                      FreezeSignalFunc *on_signal, void *opaque)
{
    Freeze *f = g_new0(Freeze, 1);

    f->kind = kind;
    f->agent = agent;
    f->progress = progress;
    f->on_signal = on_signal;
    f->opaque = opaque;
    f->file_systems = -1;
    return f;
}

/* One on a socket. */

static bool socket_freeze(void *agent, unsigned seconds, int64_t *count,
                          GError **error)
{
    return agent_freeze(agent, seconds, count, error);
}

static bool socket_thaw(void *agent, unsigned seconds, GError **error)
{
    return agent_thaw(agent, seconds, error);
}

static bool socket_is_frozen(const void *agent)
{
    return agent_is_frozen(agent);
}

static int64_t socket_frozen_us(const void *agent)
{
    return agent_frozen_us(agent);
}

static char *socket_thaw_command(const void *agent)
{
    return agent_thaw_command(agent);
}

static void socket_free(void *agent)
{
    agent_free(agent);
}

static const FreezeAgent socket_agent = {
    .freeze = socket_freeze,
    .thaw = socket_thaw,
    .is_frozen = socket_is_frozen,
    .frozen_us = socket_frozen_us,
    .thaw_command = socket_thaw_command,
    .free = socket_free,
};

Freeze *freeze_new(const char *path, Progress *progress,
                   FreezeSignalFunc *on_signal, void *opaque, GError **error)
{
    Agent *agent = agent_connect(path, AGENT_SECONDS, error);

    return agent ? freeze_new_by(&socket_agent, agent, progress, on_signal,
                                 opaque) : NULL;
}

void freeze_free(Freeze *f)
{
    if (f) {
        f->kind->free(f->agent);
        g_free(f);
    }
}

bool freeze_start(Freeze *f, GError **error)
{
    if (!f) {
        return true;
    }
    io_outlive_signals(true);
    if (io_interrupted(error)) {
        io_outlive_signals(false);
        return false;
    }
    if (!f->kind->freeze(f->agent, FREEZE_SECONDS, &f->file_systems, error)) {
        g_prefix_error(error, "cannot freeze the guest's file systems: ");
        return false;
    }
    return true;
}

bool freeze_is_on(const Freeze *f)
{
    return f && f->kind->is_frozen(f->agent);
}

static void tell_thawed(Freeze *f)
{
    progress_clear(f->progress);
    if (f->file_systems >= 0) {
        cli_note("file systems frozen for %" PRId64 " ms (%" PRId64
                 " of the guest)", (f->kind->frozen_us(f->agent) + 500) / 1000,
                 f->file_systems);
    } else {
        cli_note("the guest's file systems are thawed");
    }
}

/* A guest that stays frozen can't wait for the end of the backup. */
static void warn_frozen(Freeze *f, const GError *error)
{
    g_autofree char *command = f->kind->thaw_command(f->agent);

    if (!f->warned) {
        f->warned = true;
        cli_note("warning: the guest's file systems may be frozen and can't be "
                 "thawed (%s); to do it by hand: %s", error->message, command);
    }
}

static bool thaw(Freeze *f, unsigned seconds, GError **error)
{
    if (!f->kind->thaw(f->agent, seconds, error)) {
        if (!io_interrupted(NULL)) {
            f->thaw_again_us = g_get_monotonic_time() + THAW_PERIOD_US;
        }
        return false;
    }
    io_outlive_signals(false);
    tell_thawed(f);
    return true;
}

/* Tries once, and once more for every signal that comes in between. */
static bool thaw_despite_signals(Freeze *f, unsigned seconds, GError **error)
{
    g_autoptr(GError) local = NULL;

    while (freeze_is_on(f) && !thaw(f, seconds, &local)) {
        if (!io_interrupted(NULL)) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        f->on_signal(f->opaque);
        g_clear_error(&local);
    }
    return true;
}

/* What has failed once is tried once more before anything is said. */
void freeze_thaw(Freeze *f)
{
    g_autoptr(GError) local = NULL;

    if (!thaw_despite_signals(f, THAW_SECONDS, NULL) &&
        !thaw_despite_signals(f, THAW_AGAIN_SECONDS, &local)) {
        warn_frozen(f, local);
    }
}

void freeze_thaw_again(Freeze *f)
{
    if (freeze_is_on(f) && g_get_monotonic_time() >= f->thaw_again_us) {
        (void)thaw(f, THAW_AGAIN_SECONDS, NULL);
    }
}

bool freeze_thaw_at_last(Freeze *f, GError **error)
{
    g_autoptr(GError) before = NULL;
    g_autoptr(GError) local = NULL;
    g_autofree char *command = NULL;

    if (thaw_despite_signals(f, THAW_LAST_SECONDS, &local)) {
        return true;
    }
    /* Nothing is left to be done, so the next signal may end the program. */
    io_outlive_signals(false);
    before = *error;
    *error = NULL;
    command = f->kind->thaw_command(f->agent);
    g_set_error(error, BACKUP_ERROR,
                before && before->domain == BACKUP_ERROR
                ? before->code : BACKUP_ERROR_FAILED,
                "%s, and the guest's file systems may still be frozen (%s); to "
                "thaw them: %s", before ? before->message
                                        : "the backup is complete",
                local->message, command);
    return false;
}
