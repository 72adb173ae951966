/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command reindex: an archive into another one with the same contents, as
 * our writer writes it.
 */
#ifndef RESTORE_REINDEX_H
#define RESTORE_REINDEX_H

#include <glib.h>
#include <stdbool.h>

#include "cli/progress.h"
#include "vma/seekable.h"

typedef struct RestoreReindex {
    const char *archive;        /* a path, or "-" for standard input */
    const char *output;         /* likewise, for standard output */
    bool overwrite;             /* the output may exist, and be the archive */
    bool sort;                  /* clusters by device id and number */
    const VmaSeekableOptions *seekable; /* NULL: not compressed */
    Progress *progress;
} RestoreReindex;

/*
 * Writes OUTPUT, with digests and an end mark, and an index if it is compressed;
 * uuid, time, configs and devices are those of the archive, and the clusters in
 * its order, or sorted.  Blocks of zeroes are left out.  It gets its name only
 * after all of the archive was read and found good.
 *
 * False: there is no output, but of what went to standard output.  Of kind
 * USAGE is also an archive with a device "vmstate", which can't be written, or
 * one to be sorted that can't be read at any place.
 */
bool restore_reindex(const RestoreReindex *options, GError **error);

#endif /* RESTORE_REINDEX_H */
