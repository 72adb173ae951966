/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How it went, told once at the end: for people, or for machines.
 */
#ifndef SINK_RESULT_H
#define SINK_RESULT_H

#include <glib.h>

#include "backup/info.h"
#include "sink/format.h"

typedef struct SinkResult {
    const char *path;           /* of the command line; "-": standard output */
    const SinkFormat *format;
    BackupInfo *info;           /* owned; NULL: it is not known */
    uint64_t zero_bytes;
    uint64_t stored_bytes;
    double seconds;             /* from the preamble to the end */
} SinkResult;

/* "vm1.vma: 2 disks, 4.0 GiB (75% zero), stored in ..."; to be freed. */
char *sink_result_text(const SinkResult *result);

/* One object in one line, as progress.md says; ERROR is NULL after success. */
char *sink_result_json(const SinkResult *result, const GError *error);

#endif /* SINK_RESULT_H */
