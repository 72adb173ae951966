/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a client that may only read the archives of a folder: the command of its
 * key in sshd's authorized_keys is vma-restore read-only, and what it asked for
 * comes in SSH_ORIGINAL_COMMAND.  Words with single spaces between them, of these
 * and no others:
 *
 *     vma-restore list [--json] ARCHIVE
 *     vma-restore verify ARCHIVE
 *     vma-restore config ARCHIVE [NAME]
 *     vma-restore extract -d DISK=- [--range OFFSET:LENGTH] ARCHIVE
 *
 * All names are plain (backup/file-names.h).
 */
#ifndef RESTORE_FORCED_H
#define RESTORE_FORCED_H

#include <glib.h>

/*
 * The words of COMMAND, NULL-terminated, to be freed.  NULL, of kind USAGE: it is
 * something else, or there was none; of kind FAILED: the archive is no regular
 * file of the current folder.
 */
char **restore_forced(const char *command, GError **error);

#endif /* RESTORE_FORCED_H */
