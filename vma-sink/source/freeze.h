/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's file systems, frozen for the moment in which a backup starts.
 * What is said to the user about them is said here, and when it is tried again
 * to thaw them is decided here; agent.h speaks to the agent.
 *
 * All functions but the first two take NULL, which stands for no freezing.
 */
#ifndef SOURCE_FREEZE_H
#define SOURCE_FREEZE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/progress.h"

typedef struct Freeze Freeze;

/*
 * A signal has come (io/io.h), which is no reason to leave a guest frozen.
 * Takes note of it and clears it.
 */
typedef void FreezeSignalFunc(void *opaque);

/*
 * How an agent is spoken to; see agent.h, which has the same functions for one
 * on a socket.
 */
typedef struct FreezeAgent {
    bool (*freeze)(void *agent, unsigned seconds, int64_t *count,
                   GError **error);
    bool (*thaw)(void *agent, unsigned seconds, GError **error);
    bool (*is_frozen)(const void *agent);
    int64_t (*frozen_us)(const void *agent);
    char *(*thaw_command)(const void *agent);
    void (*free)(void *agent);
} FreezeAgent;

/* Takes over AGENT, which answers and has frozen nothing. */
Freeze *freeze_new_by(const FreezeAgent *kind, void *agent, Progress *progress,
                      FreezeSignalFunc *on_signal, void *opaque);

/* Connects to the guest agent whose channel is at PATH; freezes nothing. */
Freeze *freeze_new(const char *path, Progress *progress,
                   FreezeSignalFunc *on_signal, void *opaque, GError **error);
void freeze_free(Freeze *freeze);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Freeze, freeze_free)

/* Freezes.  After a failure thaw all the same. */
bool freeze_start(Freeze *freeze, GError **error);

/* A freeze was asked for, and no thaw was confirmed since. */
bool freeze_is_on(const Freeze *freeze);

/* Thaws right after the start of the backup: no signal keeps from this. */
void freeze_thaw(Freeze *freeze);

/* While the backup runs, now and then: tries again where it has failed. */
void freeze_thaw_again(Freeze *freeze);

/* At the end.  False: it stays frozen; *error, if set before, is extended. */
bool freeze_thaw_at_last(Freeze *freeze, GError **error);

#endif /* SOURCE_FREEZE_H */
