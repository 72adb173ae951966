/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a program has got, shown on standard error: by a bar, by lines of
 * JSON, or only when SIGUSR1 asks.  It only shows what it is told.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <glib.h>
#include <stdint.h>

#include "cli/progress-text.h"

typedef struct Progress Progress;

/* The same option for all programs, as an entry of their lists. */
#define PROGRESS_OPTION \
    { "progress", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer)progress_parse, \
      "Show the progress: auto (a bar on a terminal), bar, json (a line a " \
      "second) or none; SIGUSR1 asks for one line", "HOW" }

/* Of that option: what the next progress_new() does. */
gboolean progress_parse(const char *option, const char *value, gpointer data,
                        GError **error);

/*
 * The time counts from here on, in the phase "waiting".  BUSY, a constant, is
 * what the phase is called from the first progress_update() on.
 *
 * A thread of its own shows what there is, so SIGUSR1 is answered whatever the
 * program waits for, and a standard error that takes no more holds up nothing
 * but that thread: of the functions below progress_clear() and progress_end()
 * wait for it, for a second at most, and what is not written then may be lost.
 * It needs io_catch_signals() to have been called, and no thread before that.
 */
Progress *progress_new(const char *busy);

/* Clears the bar, so it must come before a message on standard error. */
void progress_free(Progress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)

/*
 * DONE of TOTAL bytes, ZERO of them zeroes; the last two may be
 * PROGRESS_UNKNOWN.  May be called as often as one likes: it is cheap.
 */
void progress_update(Progress *progress, uint64_t done, uint64_t zero,
                     uint64_t total);

/*
 * From now on FUNC, which any thread may call, says how many bytes were read
 * ahead; NULL: nobody does any more.
 */
typedef uint64_t ProgressBufferedFunc(void *opaque);
void progress_watch_buffer(Progress *progress, ProgressBufferedFunc *func,
                           void *opaque);

/*
 * Shows PHASE, such as "syncing", in place of rate and time left.  It is a
 * constant; NULL ends the phase.
 */
void progress_phase(Progress *progress, const char *phase);

/*
 * Where a program that is started from here writes its messages, so that each
 * is shown on a line of its own, and not behind the bar: a descriptor for it,
 * which the caller closes.  -1: there is no bar, so standard error will do.
 * Once.
 */
int progress_take_messages_fd(Progress *progress);

/* Makes room for a message on standard error, and waits until it is there. */
void progress_clear(Progress *progress);

/*
 * The end, with ERROR or, where that is NULL, well: clears the bar, and shows
 * nothing any more but, as JSON, the result.  Where nobody reads the JSON all
 * further messages on standard error are dropped.
 */
void progress_end(Progress *progress, const GError *error);

/* Prints a line for the user: what was done, in what time. */
void progress_print(const Progress *progress);

#endif /* CLI_PROGRESS_H */
