/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a program has got: a bar where standard error is a terminal, and one
 * line at the end.  It only shows what it is told.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <glib.h>
#include <stdint.h>

typedef struct Progress Progress;

/* The time counts from here on. */
Progress *progress_new(void);

/* Clears the bar, so it must come before a message on standard error. */
void progress_free(Progress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)

/*
 * DONE of TOTAL bytes, ZERO of them zeroes.  May be called as often as one
 * likes: what is shown changes ten times a second at most.
 */
void progress_update(Progress *progress, uint64_t done, uint64_t zero,
                     uint64_t total);

/*
 * Shows PHASE, such as "syncing", in place of rate and time left.  It is a
 * constant; NULL ends the phase.
 */
void progress_phase(Progress *progress, const char *phase);

/* Makes room for a message on standard error. */
void progress_clear(Progress *progress);

/* Clears the bar and prints what was done, in what time. */
void progress_finish(Progress *progress);

#endif /* CLI_PROGRESS_H */
