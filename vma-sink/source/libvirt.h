/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running guest of libvirt as the source of a stream.  libvirt's own backup
 * in pull mode sets the point in time of all disks, keeps what the guest
 * overwrites after it in scratch images, and serves the disks as they were
 * through QEMU's NBD server; libvirt knows of the job, and keeps others from
 * disturbing it.
 *
 * The guest does not wait for the reader of the stream, only for the images.
 * Where one of these can't be written the backup fails, and the guest goes on.
 */
#ifndef SOURCE_LIBVIRT_H
#define SOURCE_LIBVIRT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"
#include "cli/progress.h"
#include "source/disk.h"

typedef struct LibvirtBackup LibvirtBackup;

typedef struct LibvirtOptions {
    const char *uri;            /* NULL: libvirt's default */
    const char *name;           /* the guest's */
    char **devices;             /* NULL-terminated; NULL: all writable ones */
    uint64_t speed;             /* bytes per second, 0: no limit */
    bool freeze;                /* its file systems, by its agent */
    const char *fleecing;       /* folder for the images */
    uint64_t fleecing_bytes;    /* most that each of them takes; 0: no limit */
} LibvirtOptions;

/* OPTIONS is borrowed. */
LibvirtBackup *libvirt_backup_new(const LibvirtOptions *options,
                                  Progress *progress);
void libvirt_backup_free(LibvirtBackup *backup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibvirtBackup, libvirt_backup_free)

/*
 * Sets the point in time.  INFO gets its time, the devices and, unless it has
 * one of this name, the configuration "libvirt.xml"; DISKS, an array of Disk,
 * gets what to send of them.  Whatever this returns, and whatever happens after
 * it, libvirt_backup_finish() comes last.
 */
bool libvirt_backup_start(LibvirtBackup *backup, BackupInfo *info,
                          GPtrArray *disks, GError **error);

/*
 * A DiskWatchFunc: to be called while the disks are sent.  Fails where the
 * backup was ended for the guest's sake; keeps to the speed.
 */
bool libvirt_backup_watch(void *backup, const DiskTotals *totals,
                          GError **error);

/* After the last read: whether all that was read is of the point in time. */
bool libvirt_backup_confirm(void *backup, GError **error);

/* After a failure: replaces *error by what has caused it, if that is known. */
void libvirt_backup_explain(void *backup, GError **error);

/*
 * Ends the job, and sees to it that the guest's file systems are thawed.
 * *error, if set before, says why the backup has failed; it is extended where
 * this fails, too.  False if it is set then.  A second call does nothing more.
 */
bool libvirt_backup_finish(void *backup, GError **error);

#endif /* SOURCE_LIBVIRT_H */
