/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running QEMU, as it is, as the source of a stream.  One transaction sets the
 * point in time of all disks; what the guest overwrites after it is copied to
 * temporary images first (fleecing.h), and the disks are read as they were from
 * QEMU's own NBD server, through a socket that nobody else can reach.
 *
 * The guest does not wait for the reader of the stream, only for the temporary
 * images.  Where one of these can't be written the backup fails, and the guest
 * goes on.
 *
 * All that is made in QEMU is taken down again, if not by the vma-dump that made
 * it then by the next one on the same monitor (qemu-claim.h).
 */
#ifndef SOURCE_QEMU_NBD_H
#define SOURCE_QEMU_NBD_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "cli/progress.h"
#include "source/disk.h"
#include "source/qemu.h"

typedef struct QemuNbd QemuNbd;

/*
 * Of the options timeout_seconds, answer, answer_seconds mean nothing here,
 * and there must be a folder for the images.  OPTIONS is borrowed.
 */
QemuNbd *qemu_nbd_new(const QemuOptions *options, Progress *progress);
void qemu_nbd_free(QemuNbd *nbd);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuNbd, qemu_nbd_free)

/*
 * Sets the point in time.  INFO gets its time and the devices, and DISKS, an
 * array of Disk, what to send of them.  Whatever this returns, and whatever
 * happens after it, qemu_nbd_finish() comes last.
 */
bool qemu_nbd_start(QemuNbd *nbd, BackupInfo *info, GPtrArray *disks,
                    GError **error);

/*
 * A DiskWatchFunc: to be called while the disks are sent.  Fails as soon as the
 * point in time is lost; keeps to the speed.
 */
bool qemu_nbd_watch(void *nbd, const DiskTotals *totals, GError **error);

/* After the last read: whether all that was read is of the point in time. */
bool qemu_nbd_confirm(QemuNbd *nbd, GError **error);

/*
 * After a failure: replaces *error by what has caused it, if QEMU has told of
 * such a thing.
 */
void qemu_nbd_explain(QemuNbd *nbd, GError **error);

/*
 * Takes everything down, and sees to it that the guest's file systems are
 * thawed.  *error, if set before, says why the backup has failed; it is extended
 * where this fails, too.  False if it is set then.  A second call does nothing
 * more.
 */
bool qemu_nbd_finish(QemuNbd *nbd, GError **error);

/*
 * After that, where a dirty bitmap was asked for: it is kept if the backup is
 * STORED, else removed.  *error, if set before, is extended.
 */
bool qemu_nbd_settle(QemuNbd *nbd, bool stored, GError **error);

#endif /* SOURCE_QEMU_NBD_H */
