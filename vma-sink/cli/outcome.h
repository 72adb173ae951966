/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a failure leaves under the name of the output, told by looking.
 */
#ifndef CLI_OUTCOME_H
#define CLI_OUTCOME_H

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

typedef struct CliOutcome {
    const char *path;           /* borrowed */
    bool was_there;
    struct stat before;         /* if it was */
} CliOutcome;

/* Before anything is done.  "-" is never there. */
void cli_outcome_before(CliOutcome *outcome, const char *path);

/*
 * Puts in front of an error whether there is nothing under the name or what was
 * there before.  It says nothing where the name or the options are wrong, nor
 * where there is another one now: then the error does.
 */
void cli_outcome_prefix(const CliOutcome *outcome, GError **error);

#endif /* CLI_OUTCOME_H */
