/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a client that may do one thing, add an archive to a folder: the command of
 * its key in sshd's authorized_keys is vma-sink --receive, and what it asked for
 * comes in SSH_ORIGINAL_COMMAND.  That is taken only if it is of one exact shape;
 * no shell and no parser of options ever sees it.
 *
 *     vma-sink [--compress=METHOD] [-o] NAME
 *
 * with single spaces.  METHOD is none, zstd or zstd:LEVEL, LEVEL being one digit,
 * not 0.  NAME is plain (backup/file-names.h), so it is no path and no option.
 */
#ifndef SINK_RECEIVE_H
#define SINK_RECEIVE_H

#include <glib.h>
#include <stdbool.h>
#include <uuid/uuid.h>

typedef struct SinkWish {
    char *name;                 /* NULL: none that is taken */
    char *compress;             /* as --compress has it; NULL: none */
} SinkWish;

/*
 * COMMAND is NULL where there was none, and any bytes else.  PATTERN, with * and
 * ?, is what the name has to match besides; NULL: nothing.  False: nothing of the
 * command is taken.
 */
bool sink_wish_parse(const char *command, const char *pattern, SinkWish *wish);
void sink_wish_clear(SinkWish *wish);

/*
 * The name of an archive whose client has no wish: our time, in UTC, and the
 * backup's uuid.  To be freed.
 */
char *sink_own_name(const uuid_t uuid, bool compressed);

#endif /* SINK_RECEIVE_H */
