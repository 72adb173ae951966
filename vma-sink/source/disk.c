/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all disks have in common: how clusters become runs of the stream.
 */
#include "source/disk.h"

#include <inttypes.h>
#include <string.h>

#include "backup/error.h"
#include "io/nbd-uri.h"
#include "io/zero.h"
#include "source/image.h"
#include "source/nbd.h"

struct DiskSender {
    /* Set at creation, never changed. */
    const Disk *disk;
    const BackupDevice *device;
    WireWriter *writer;
    DiskTotals *totals;
    Progress *progress;

    uint64_t zero_first;        /* run of zeroes that is not yet sent */
    uint64_t zero_count;
};

Disk *disk_open(const char *source, const DiskOptions *options,
                GError **error)
{
    g_autoptr(Disk) disk = io_nbd_uri_is_meant(source)
                           ? nbd_disk_open(source, options, error)
                           : image_open(source, options, error);

    if (!disk) {
        return NULL;
    }
    if (disk->source_bytes > WIRE_DEVICE_MAX_BYTES) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot back up '%s': it has %" PRIu64 " bytes, and a disk "
                    "can have %" PRIu64, disk->name, disk->source_bytes,
                    WIRE_DEVICE_MAX_BYTES);
        return NULL;
    }
    return g_steal_pointer(&disk);
}

void disk_free(Disk *disk)
{
    if (disk) {
        g_free(disk->name);
        disk->kind->free(disk);
    }
}

const char *disk_name(const Disk *disk)
{
    return disk->name;
}

unsigned disk_padding_bytes(const Disk *disk)
{
    return -disk->source_bytes % WIRE_SECTOR_BYTES;
}

uint64_t disk_size_bytes(const Disk *disk)
{
    return disk->source_bytes + disk_padding_bytes(disk);
}

static bool watch(const DiskSender *s, GError **error)
{
    return !s->totals->watch ||
           s->totals->watch(s->totals->opaque, s->totals, error);
}

static void count_run(const DiskSender *s, uint64_t first, uint64_t count,
                      bool zero)
{
    uint64_t bytes = backup_run_bytes(s->device->size_bytes, first, count);

    s->totals->done_bytes += bytes;
    s->totals->zero_bytes += zero ? bytes : 0;
    progress_update(s->progress, s->totals->done_bytes, s->totals->zero_bytes,
                    s->totals->total_bytes);
}

static bool flush_zeroes(DiskSender *s, GError **error)
{
    uint64_t count = s->zero_count;

    s->zero_count = 0;
    return count == 0 ||
           wire_writer_zero(s->writer, s->device, s->zero_first, count, error);
}

void disk_send_zeroes(DiskSender *s, uint64_t first, uint64_t count)
{
    if (count > 0) {
        if (s->zero_count == 0) {
            s->zero_first = first;
        }
        g_assert(s->zero_first + s->zero_count == first);
        s->zero_count += count;
        count_run(s, first, count, true);
    }
}

static bool send_run(DiskSender *s, uint64_t first, uint64_t count,
                     const uint8_t *data, GError **error)
{
    if (count == 0) {
        return true;
    }
    if (!watch(s, error) || !flush_zeroes(s, error) ||
        !wire_writer_data(s->writer, s->device, first, count, data, error)) {
        return false;
    }
    count_run(s, first, count, false);
    return true;
}

static void pad(const DiskSender *s, uint64_t first, uint64_t count,
                uint8_t *buffer)
{
    uint64_t wanted = backup_run_bytes(s->device->size_bytes, first, count);
    uint64_t got = MIN(wanted, s->disk->source_bytes -
                               first * BACKUP_CLUSTER_BYTES);

    memset(buffer + got, 0, wanted - got);
}

bool disk_send_data(DiskSender *s, uint64_t first, uint64_t count,
                    uint8_t *buffer, GError **error)
{
    const uint8_t *data = buffer;       /* of cluster FIRST + data_from */
    uint64_t data_from = 0;

    pad(s, first, count, buffer);
    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *p = buffer + i * BACKUP_CLUSTER_BYTES;
        size_t bytes = backup_run_bytes(s->device->size_bytes, first + i, 1);

        if (io_is_zero(p, bytes)) {
            if (!send_run(s, first + data_from, i - data_from, data, error)) {
                return false;
            }
            disk_send_zeroes(s, first + i, 1);
            data_from = i + 1;
            data = p + BACKUP_CLUSTER_BYTES;
        }
    }
    return send_run(s, first + data_from, count - data_from, data, error);
}

bool disk_send(Disk *disk, WireWriter *writer, const BackupDevice *device,
               DiskTotals *totals, Progress *progress, GError **error)
{
    DiskSender s = {
        .disk = disk,
        .device = device,
        .writer = writer,
        .totals = totals,
        .progress = progress,
    };

    g_assert(device->size_bytes == disk_size_bytes(disk));
    return disk->kind->send(disk, &s, error) && flush_zeroes(&s, error) &&
           wire_writer_device_end(writer, device, error);
}
