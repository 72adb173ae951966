/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which disks a QEMU has, found out over QMP: the same ones, by the same names,
 * as the command "backup" of qemu-patch would choose.
 */
#ifndef SOURCE_QEMU_DISKS_H
#define SOURCE_QEMU_DISKS_H

#include <glib.h>
#include <stdint.h>

#include "source/qmp.h"

typedef struct QemuDisk {
    char *name;                 /* owned; what the backup calls it */
    char *node;                 /* owned; its root node's name */
    char *device;               /* owned; its guest's device's path, or NULL */
    uint64_t size_bytes;        /* above 0 */
} QemuDisk;

/*
 * An array of QemuDisk: those named in DEVICES, NULL-terminated, by the device's
 * id, the backend's or the node's name, in this order; or, where that is NULL,
 * all writable disks of the guest.  NULL on an error, also where there is none.
 */
GPtrArray *qemu_disks_list(Qmp *qmp, char **devices, GError **error);

/*
 * Whether QEMU carries out the guest's requests to these disks itself.  A device
 * that passes commands through to the host's (scsi-block, scsi-generic) asks the
 * disk's root node for that, and a filter there refuses: then the guest's
 * requests fail as long as the backup runs.
 */
bool qemu_disks_verify_devices(Qmp *qmp, const GPtrArray *disks,
                               GError **error);

/*
 * Whether the disks are this QEMU's, and not of another one that the guest has
 * gone to, or not yet come from: that one writes to them, and no filter of this
 * one sees it.
 */
bool qemu_disks_verify_owner(Qmp *qmp, GError **error);

#endif /* SOURCE_QEMU_DISKS_H */
