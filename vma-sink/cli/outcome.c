/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of the output's name before and after.
 */
#include "cli/outcome.h"

#include <errno.h>
#include <string.h>

#include "backup/error.h"

void cli_outcome_before(CliOutcome *outcome, const char *path)
{
    outcome->path = path;
    outcome->was_there = strcmp(path, "-") != 0 &&
                         lstat(path, &outcome->before) == 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
           a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void cli_outcome_prefix(const CliOutcome *outcome, GError **error)
{
    struct stat now;

    if (!error || !*error || strcmp(outcome->path, "-") == 0 ||
        g_error_matches(*error, BACKUP_ERROR, BACKUP_ERROR_USAGE)) {
        return;
    }
    if (lstat(outcome->path, &now) < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) {
            g_prefix_error(error, "nothing was stored: ");
        }
    } else if (outcome->was_there && is_same(&now, &outcome->before)) {
        g_prefix_error(error, "the old '%s' is untouched: ", outcome->path);
    }
}
