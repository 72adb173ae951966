/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules on an archive's content that no extent can tell alone.
 */
#include "restore/check.h"

#include <string.h>

#include "backup/clusters.h"
#include "backup/error.h"

#define MASK_FULL 0xffff
/* Proxmox's reader has room for this many clusters, or a multiple of it. */
#define READER_CLUSTERS 64

/* Clusters of a vmstate that did not come. */
typedef struct Gap {
    uint64_t first;
    uint64_t count;
} Gap;

typedef struct DeviceCheck {
    /* Set at creation, never changed. */
    const BackupDevice *device;     /* NULL: no cluster may have this id */
    uint64_t clusters;              /* of the device's size */
    bool vmstate;

    ClusterSet *seen;               /* NULL for vmstate */
    uint64_t seen_past_end;         /* bit i: cluster CLUSTERS + i */
    uint64_t next;                  /* vmstate: the one that has to come */
    GArray *gaps;                   /* vmstate: of Gap, in order; else NULL */
} DeviceCheck;

struct RestoreCheck {
    const BackupInfo *info;         /* borrowed */
    DeviceCheck devices[BACKUP_DEVICE_IDS];
};

bool restore_is_vmstate(const BackupDevice *device)
{
    return strcmp(device->name, VMA_VMSTATE_NAME) == 0;
}

uint64_t restore_run_bytes(const BackupDevice *device, uint64_t first,
                           uint64_t count)
{
    uint64_t end = (first + count) * BACKUP_CLUSTER_BYTES;
    uint64_t start = first * BACKUP_CLUSTER_BYTES;

    if (restore_is_vmstate(device)) {
        return end - start;
    }
    return MIN(end, device->size_bytes) - MIN(start, device->size_bytes);
}

RestoreCheck *restore_check_new(const BackupInfo *info)
{
    RestoreCheck *check = g_new0(RestoreCheck, 1);

    check->info = info;
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        DeviceCheck *d = &check->devices[device->id];

        d->clusters = backup_clusters(device->size_bytes);
        d->vmstate = restore_is_vmstate(device);
        if (d->vmstate) {
            d->gaps = g_array_new(FALSE, FALSE, sizeof(Gap));
        } else {
            d->seen = cluster_set_new(d->clusters);
        }
        /* To Proxmox's reader a size of 0 means that there is no device. */
        d->device = device->size_bytes > 0 ? device : NULL;
    }
    return check;
}

void restore_check_free(RestoreCheck *check)
{
    if (!check) {
        return;
    }
    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        cluster_set_free(check->devices[id].seen);
        g_clear_pointer(&check->devices[id].gaps, g_array_unref);
    }
    g_free(check);
}

static bool set_twice(uint32_t number, GError **error)
{
    backup_error_set_damaged(error, "cluster %u is there twice", number);
    return false;
}

/* After a gap it goes on from the cluster that shows the gap. */
static bool check_vmstate(DeviceCheck *d, const VmaCluster *cluster,
                          GError **error)
{
    if (cluster->number != d->next) {
        backup_error_set_damaged(error, "cluster %u is out of order, %"
                                 G_GUINT64_FORMAT " was expected",
                                 cluster->number, d->next);
        if (cluster->number > d->next) {
            Gap gap = { d->next, cluster->number + UINT64_C(1) - d->next };

            g_array_append_val(d->gaps, gap);
            d->next = cluster->number + UINT64_C(1);
        }
        return false;
    }
    d->next++;
    return true;
}

static bool check_past_end(DeviceCheck *d, const VmaCluster *cluster,
                           GError **error)
{
    uint64_t room = (d->clusters + READER_CLUSTERS - 1) / READER_CLUSTERS *
                    READER_CLUSTERS;
    uint64_t bit;

    if (cluster->mask || cluster->number >= room) {
        backup_error_set_damaged(error, "cluster %u is past the end of %"
                                 G_GUINT64_FORMAT " clusters", cluster->number,
                                 d->clusters);
        return false;
    }
    bit = UINT64_C(1) << (cluster->number - d->clusters);
    if (d->seen_past_end & bit) {
        return set_twice(cluster->number, error);
    }
    d->seen_past_end |= bit;
    return true;
}

static bool check_within(DeviceCheck *d, const VmaCluster *cluster,
                         GError **error)
{
    uint64_t bytes = backup_run_bytes(d->device->size_bytes, cluster->number,
                                      1);
    unsigned blocks = (bytes + VMA_BLOCK_BYTES - 1) / VMA_BLOCK_BYTES;
    uint64_t duplicate;

    if (cluster->mask != MASK_FULL && cluster->mask >> blocks) {
        backup_error_set_damaged(error, "cluster %u has blocks past the "
                                 "device's end", cluster->number);
        return false;
    }
    if (!cluster_set_add_run(d->seen, cluster->number, 1, &duplicate)) {
        return set_twice(cluster->number, error);
    }
    return true;
}

bool restore_check_cluster(RestoreCheck *check, const VmaCluster *cluster,
                           GError **error)
{
    DeviceCheck *d = &check->devices[cluster->device_id];
    bool ok;

    if (!d->device) {
        backup_error_set_damaged(error, "cluster %u is of device id %u, which "
                                 "the archive does not have", cluster->number,
                                 cluster->device_id);
        return false;
    }
    if (d->vmstate) {
        ok = check_vmstate(d, cluster, error);
    } else if (cluster->number >= d->clusters) {
        ok = check_past_end(d, cluster, error);
    } else {
        ok = check_within(d, cluster, error);
    }
    if (!ok) {
        g_prefix_error(error, "device '%s': ", d->device->name);
    }
    return ok;
}

bool restore_check_end(const RestoreCheck *check, GError **error)
{
    g_autoptr(GString) what = g_string_new(NULL);

    for (guint i = 0; i < check->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(check->info->devices, i);
        const DeviceCheck *d = &check->devices[device->id];
        uint64_t missing = d->seen ? cluster_set_missing(d->seen) : 0;

        if (missing) {
            g_string_append_printf(what, "%s%" G_GUINT64_FORMAT " of %"
                                   G_GUINT64_FORMAT " clusters of device '%s' "
                                   "(first: %" G_GUINT64_FORMAT ")",
                                   what->len ? ", " : "", missing, d->clusters,
                                   device->name,
                                   cluster_set_first_missing(d->seen));
        }
    }
    if (what->len) {
        backup_error_set_incomplete(error, "the archive is incomplete: missing "
                                    "%s; it was cut between two extents, or "
                                    "its writer died", what->str);
        return false;
    }
    return true;
}

uint64_t restore_check_clusters(const RestoreCheck *check, uint8_t id)
{
    const DeviceCheck *d = &check->devices[id];
    uint64_t clusters = d->next;

    if (!d->vmstate) {
        return d->clusters - cluster_set_missing(d->seen);
    }
    for (guint i = 0; i < d->gaps->len; i++) {
        clusters -= g_array_index(d->gaps, Gap, i).count;
    }
    return clusters;
}

/* There may be as many as an archive has clusters, and each one is asked for. */
static bool next_gap(const DeviceCheck *d, uint64_t from, uint64_t *first,
                     uint64_t *count)
{
    guint low = 0, high = d->gaps->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (g_array_index(d->gaps, Gap, middle).first < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == d->gaps->len) {
        return false;
    }
    *first = g_array_index(d->gaps, Gap, low).first;
    *count = g_array_index(d->gaps, Gap, low).count;
    return true;
}

bool restore_check_next_missing(const RestoreCheck *check, uint8_t id,
                                uint64_t from, uint64_t *first,
                                uint64_t *count)
{
    const DeviceCheck *d = &check->devices[id];

    return d->vmstate ? next_gap(d, from, first, count)
                      : cluster_set_next_missing(d->seen, from, first, count);
}
