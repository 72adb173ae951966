/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a program has got, in words: for a terminal, for a log, and for
 * machines.  Nothing is printed here, and nothing is measured.
 */
#ifndef CLI_PROGRESS_TEXT_H
#define CLI_PROGRESS_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define PROGRESS_UNKNOWN UINT64_MAX

typedef struct ProgressState {
    const char *phase;
    bool busy;                  /* bytes move in this phase */
    double phase_seconds;       /* since it began */
    double seconds;             /* since the program did */
    uint64_t bytes;
    uint64_t total_bytes;       /* PROGRESS_UNKNOWN: nobody knows */
    uint64_t zero_bytes;        /* of bytes; PROGRESS_UNKNOWN: nobody knows */
    uint64_t buffered_bytes;    /* read ahead; PROGRESS_UNKNOWN: no such thing */
    double rate;                /* bytes per second, of late */
} ProgressState;

/*
 * All to be freed.  The bar is COLUMNS wide at most: where that is little it
 * says less, and keeps what matters most.  The line is for a log:
 * "copying for 0:12: 41%, 4.1 GiB of 10.0 GiB, ...".
 */
char *progress_text_bar(const ProgressState *state, size_t columns);
char *progress_text_line(const ProgressState *state);

/*
 * One line as progress.md says; after the end, with how it went: EXIT_CODE, and
 * where that is not 0 the MESSAGE.  Before the end EXIT_CODE is -1.
 */
char *progress_text_json(const ProgressState *state, int exit_code,
                         const char *message);

#endif /* CLI_PROGRESS_TEXT_H */
