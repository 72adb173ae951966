/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running QEMU, which has the commands of qemu-patch, as the source of a
 * stream: it is handed standard output and writes the stream itself.  (One
 * without them is qemu-nbd.h's.)
 */
#ifndef SOURCE_QEMU_H
#define SOURCE_QEMU_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"
#include "cli/progress.h"
#include "source/qmp.h"

typedef struct QemuOptions {
    const char *socket;         /* path of the monitor */
    Qmp *qmp;                   /* connected to it, or NULL; borrowed */
    const char *agent;          /* path of the guest agent; NULL: no freezing */
    char **devices;             /* NULL-terminated; NULL: QEMU's choice */
    const BackupInfo *info;     /* the configs are sent, nothing else */
    uint64_t speed;             /* bytes per second, 0: no limit */
    int timeout_seconds;        /* -1: QEMU's default */
    bool answer;                /* done means that the reader has said so */
    int answer_seconds;         /* how long it may take; -1: QEMU's default */
    bool *done;                 /* set where QEMU says so, whatever else fails */
    const char *fleecing;       /* folder for temporary images; NULL: none */
    uint64_t fleecing_bytes;    /* most that each of them takes; 0: no limit */
    const char *bitmap;         /* to begin with the backup; NULL: none */
} QemuOptions;

/*
 * Starts a backup and waits for its end.  Standard output, which must be a pipe
 * or a socket, is QEMU's from then on, and /dev/null here.
 *
 * With an agent the guest's file systems are frozen for the moment in which the
 * backup starts.  However this ends, they are thawed, or the error says that
 * they are not.
 *
 * After an interruption the backup is cancelled.  False with kind INCOMPLETE:
 * somebody else has cancelled it.  With kind UNKNOWN, where an answer was asked
 * for: all may have been sent, and nobody has said whether it is stored.
 */
bool qemu_dump(const QemuOptions *options, Progress *progress, GError **error);

/* Whether QEMU has the command for that. */
bool qemu_has_backup(Qmp *qmp, bool *has, GError **error);

#endif /* SOURCE_QEMU_H */
