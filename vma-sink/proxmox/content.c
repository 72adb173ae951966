/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lines of Proxmox's tool on standard output.
 */
#include "proxmox/content.h"

#include <stdio.h>

#include "cli/cli.h"
#include "restore/check.h"
#include "vma/format.h"

/* As ctime() has it; a time that no calendar has is no reason to die. */
static void print_time(int64_t seconds)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(seconds);
    g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;
    g_autofree char *day = local ? g_date_time_format(local, "%a %b") : NULL;
    g_autofree char *time = local ? g_date_time_format(local, "%H:%M:%S %Y")
                                  : NULL;

    if (day && time) {
        /* (GLib's %e is filled up with another kind of space.) */
        printf("CTIME: %s %2d %s\n", day,
               g_date_time_get_day_of_month(local), time);
    } else {
        printf("CTIME: %" G_GINT64_FORMAT "\n", seconds);
    }
}

void proxmox_print_content(const BackupInfo *info)
{
    for (guint i = 0; i < info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(info->configs, i);
        g_autofree char *name = cli_printable(config->name);

        printf("CFG: size: %zu name: %s\n", g_bytes_get_size(config->data),
               name);
    }
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        g_autofree char *name = cli_printable(device->name);

        if (restore_is_vmstate(device)) {
            printf("VMSTATE: dev_id=%u memory: %" G_GUINT64_FORMAT "\n",
                   device->id, device->size_bytes);
        } else {
            printf("DEV: dev_id=%u size: %" G_GUINT64_FORMAT " devname: %s\n",
                   device->id, device->size_bytes, name);
        }
    }
    print_time(info->start_time_s);
    /* Whoever reads this answers it, by the map of targets. */
    fflush(stdout);
}

void proxmox_count_start(ProxmoxCount *count, const BackupInfo *info,
                         const bool *selected)
{
    *count = (ProxmoxCount) {
        .start_us = g_get_monotonic_time(),
        .percent = -1,
    };
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        count->ends[device->id] = restore_is_vmstate(device)
                                  ? UINT64_MAX
                                  : device->size_bytes & ~(uint64_t)511;
        if (!selected || selected[device->id]) {
            count->total_clusters += backup_clusters(device->size_bytes);
        }
    }
}

static void print_percent(ProxmoxCount *count, int percent)
{
    int64_t seconds = (g_get_monotonic_time() - count->start_us) /
                      G_USEC_PER_SEC;

    if (percent > count->percent) {
        printf("progress %d%% (read %" G_GUINT64_FORMAT " bytes, duration %"
               G_GINT64_FORMAT " sec)\n", percent,
               count->clusters * VMA_CLUSTER_BYTES, seconds);
        fflush(stdout);
        count->percent = percent;
    }
}

/* What of a cluster is not stored, up to the disk's end. */
static uint64_t zeroes_of(const ProxmoxCount *count, const VmaCluster *cluster)
{
    uint64_t end = count->ends[cluster->device_id];
    uint64_t start = (uint64_t)cluster->number * VMA_CLUSTER_BYTES;
    uint64_t bytes = 0;

    for (unsigned i = 0; i < VMA_BLOCKS_PER_CLUSTER; i++) {
        uint64_t from = start + i * VMA_BLOCK_BYTES;

        if (!(cluster->mask & 1u << i) && from < end) {
            bytes += MIN(end - from, VMA_BLOCK_BYTES);
        }
    }
    return bytes;
}

void proxmox_count_extent(ProxmoxCount *count, const VmaExtent *extent)
{
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        uint64_t zero = zeroes_of(count, &extent->clusters[i]);

        count->clusters++;
        count->zero_bytes += zero;
        count->partial_bytes += extent->clusters[i].mask ? zero : 0;
    }
    if (count->total_clusters > 0) {
        print_percent(count, MIN(count->clusters * 100 /
                                 count->total_clusters, 100));
    }
}

void proxmox_count_end(ProxmoxCount *count)
{
    uint64_t bytes = count->clusters * VMA_CLUSTER_BYTES;
    uint64_t data = bytes - count->zero_bytes;

    if (bytes == 0) {
        printf("vma archive contains no image data\n");
        return;
    }
    print_percent(count, 100);
    printf("total bytes read %" G_GUINT64_FORMAT ", sparse bytes %"
           G_GUINT64_FORMAT " (%.3g%%)\n", bytes, count->zero_bytes,
           100.0 * count->zero_bytes / bytes);
    if (data > 0) {
        printf("space reduction due to 4K zero blocks %.3g%%\n",
               100.0 * count->partial_bytes / data);
    }
}
