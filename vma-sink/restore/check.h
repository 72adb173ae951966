/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules on an archive's content that no extent can tell alone: clusters
 * belong to a known device, lie within it, and are all there, exactly once.
 *
 * It accepts what Proxmox's reader accepts, which is a little more than its
 * writer writes:
 *   - clusters in any order, and any mix of devices;
 *   - mask 0xffff in the last cluster, also where the device ends within it (a
 *     bit past the end in any other mask is an error);
 *   - clusters past the end up to a multiple of 64, if they have no data.
 * The clusters of a device "vmstate" must come in order from 0 on.  Its size
 * is an estimate, so nobody can say whether it is complete.
 */
#ifndef RESTORE_CHECK_H
#define RESTORE_CHECK_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "vma/extent.h"

typedef struct RestoreCheck RestoreCheck;

/* INFO is borrowed and must outlive the check. */
RestoreCheck *restore_check_new(const BackupInfo *info);
void restore_check_free(RestoreCheck *check);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreCheck, restore_check_free)

/* Takes note of a cluster.  False, of kind DAMAGED: it must not be there. */
bool restore_check_cluster(RestoreCheck *check, const VmaCluster *cluster,
                           GError **error);

/* After the last extent.  False: *error is of kind INCOMPLETE. */
bool restore_check_end(const RestoreCheck *check, GError **error);

/* How many clusters of a device of INFO there were, up to its end. */
uint64_t restore_check_clusters(const RestoreCheck *check, uint8_t id);

/*
 * The first run of clusters at or behind FROM that there were none of, to be
 * asked after the last extent.  False where nothing is missing from there on.
 */
bool restore_check_next_missing(const RestoreCheck *check, uint8_t id,
                                uint64_t from, uint64_t *first,
                                uint64_t *count);

/*
 * The bytes of a run of a device's clusters, none of those past its end; the
 * size of a vmstate is an estimate and ends nothing.
 */
uint64_t restore_run_bytes(const BackupDevice *device, uint64_t first,
                           uint64_t count);

/* Whether this device is the guest's memory. */
bool restore_is_vmstate(const BackupDevice *device);

#endif /* RESTORE_CHECK_H */
