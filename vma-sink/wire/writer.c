/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a stream.  A record is one writev() of its header and the caller's
 * buffer; the write blocks as long as the reader does not read, and says nothing.
 */
#include "wire/writer.h"

#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "backup/error.h"
#include "io/io.h"
#include "wire/check.h"
#include "wire/preamble.h"

typedef struct DeviceTotals {
    uint64_t data_clusters;
    uint64_t zero_clusters;
} DeviceTotals;

struct WireWriter {
    int fd;
    uint32_t features;
    uint32_t check_seed;
    bool torn;                  /* a write failed: nothing may follow */
    uint64_t records;
    uint64_t data_bytes;
    DeviceTotals all;
    DeviceTotals devices[BACKUP_DEVICE_IDS];
};

/* The reader has nothing to say before the last record, but that it failed. */
static bool write_all(int fd, uint32_t features, struct iovec *iov, int count,
                      GError **error)
{
    if (features & WIRE_FEATURE_ANSWER ? io_send(fd, iov, count, error)
                                       : io_writev(fd, iov, count, error)) {
        return true;
    }
    g_prefix_error(error, "cannot write the stream: ");
    return false;
}

WireWriter *wire_writer_new(int fd, const BackupInfo *info, uint32_t features,
                            GError **error)
{
    g_autoptr(WireWriter) w = g_new0(WireWriter, 1);
    g_autoptr(GByteArray) preamble = NULL;
    struct iovec iov;

    preamble = wire_preamble_encode(info, features, error);
    if (!preamble) {
        return NULL;
    }
    iov.iov_base = preamble->data;
    iov.iov_len = preamble->len;
    if (!write_all(fd, features, &iov, 1, error)) {
        return NULL;
    }
    w->fd = fd;
    w->features = features;
    w->check_seed = wire_check_seed(info->uuid);
    return g_steal_pointer(&w);
}

void wire_writer_free(WireWriter *w)
{
    g_free(w);
}

/* Completes the header's check and writes header and payload. */
static bool write_record(WireWriter *w, WireRecord *h, const void *payload,
                         GError **error)
{
    struct iovec iov[2] = {
        { .iov_base = h, .iov_len = sizeof(*h) },
        { .iov_base = (void *)payload,
          .iov_len = GUINT32_FROM_BE(h->payload_bytes) },
    };
    uint32_t check;

    memcpy(h->magic, WIRE_RECORD_MAGIC, sizeof(h->magic));
    check = wire_check(w->check_seed, h, offsetof(WireRecord, check));
    h->check = GUINT32_TO_BE(check);
    g_assert(!w->torn);
    if (io_interrupted(error)) {
        return false;           /* between two records: none is torn */
    }
    w->torn = !write_all(w->fd, w->features, iov, 2, error);
    w->records += !w->torn;
    return !w->torn;
}

static bool write_control(WireWriter *w, uint8_t type, uint8_t device_id,
                          void *payload, size_t bytes, GError **error)
{
    WireRecord h = {
        .type = type,
        .device_id = device_id,
        .payload_bytes = GUINT32_TO_BE(bytes),
    };
    uint32_t check = wire_check(w->check_seed, payload, bytes - sizeof(check));

    check = GUINT32_TO_BE(check);
    memcpy((uint8_t *)payload + bytes - sizeof(check), &check, sizeof(check));
    return write_record(w, &h, payload, error);
}

bool wire_writer_data(WireWriter *w, const BackupDevice *device,
                      uint64_t number, uint64_t count, const void *data,
                      GError **error)
{
    size_t bytes = backup_run_bytes(device->size_bytes, number, count);
    uint64_t hash = w->features & WIRE_FEATURE_PAYLOAD_HASH
                    ? XXH64(data, bytes, 0) : 0;
    WireRecord h = {
        .type = WIRE_RECORD_DATA,
        .device_id = device->id,
        .payload_hash = GUINT64_TO_BE(hash),
        .cluster_number = GUINT32_TO_BE(number),
        .cluster_count = GUINT32_TO_BE(count),
        .payload_bytes = GUINT32_TO_BE(bytes),
    };

    g_assert(count >= 1 && count <= WIRE_DATA_MAX_CLUSTERS);
    w->all.data_clusters += count;
    w->devices[device->id].data_clusters += count;
    w->data_bytes += bytes;
    return write_record(w, &h, data, error);
}

bool wire_writer_zero(WireWriter *w, const BackupDevice *device,
                      uint64_t number, uint64_t count, GError **error)
{
    w->all.zero_clusters += count;
    w->devices[device->id].zero_clusters += count;
    while (count > 0) {
        uint32_t n = MIN(count, UINT32_MAX);
        WireRecord h = {
            .type = WIRE_RECORD_ZERO,
            .device_id = device->id,
            .cluster_number = GUINT32_TO_BE(number),
            .cluster_count = GUINT32_TO_BE(n),
        };

        if (!write_record(w, &h, NULL, error)) {
            return false;
        }
        number += n;
        count -= n;
    }
    return true;
}

bool wire_writer_device_end(WireWriter *w, const BackupDevice *device,
                            GError **error)
{
    const DeviceTotals *t = &w->devices[device->id];
    WireDeviceEnd end = {
        .data_clusters = GUINT64_TO_BE(t->data_clusters),
        .zero_clusters = GUINT64_TO_BE(t->zero_clusters),
    };

    return write_control(w, WIRE_RECORD_DEVICE_END, device->id, &end,
                         sizeof(end), error);
}

bool wire_writer_finish(WireWriter *w, GError **error)
{
    struct timespec now;
    WireEnd end;

    clock_gettime(CLOCK_REALTIME, &now);
    end = (WireEnd) {
        .records = GUINT64_TO_BE(w->records),
        .data_clusters = GUINT64_TO_BE(w->all.data_clusters),
        .zero_clusters = GUINT64_TO_BE(w->all.zero_clusters),
        .data_bytes = GUINT64_TO_BE(w->data_bytes),
        .end_time_s = GINT64_TO_BE((int64_t)now.tv_sec),
        .end_time_ns = GUINT32_TO_BE(now.tv_nsec),
    };
    return write_control(w, WIRE_RECORD_END, 0, &end, sizeof(end), error);
}

void wire_writer_abort(WireWriter *w, uint32_t reason, const char *message)
{
    uint8_t payload[WIRE_ABORT_MAX_BYTES];
    size_t bytes = strlen(message);

    if (w->torn) {
        return;
    }
    if (bytes > WIRE_MESSAGE_MAX_BYTES || !backup_text_is_valid(message, bytes)) {
        message = "the reason can't be said in the stream";
        bytes = strlen(message);
    }
    reason = GUINT32_TO_BE(reason);
    memcpy(payload, &reason, sizeof(reason));
    memcpy(payload + sizeof(reason), message, bytes);
    write_control(w, WIRE_RECORD_ABORT, 0, payload,
                  WIRE_ABORT_MIN_BYTES + bytes, NULL);
}

bool wire_writer_is_torn(const WireWriter *w)
{
    return w->torn;
}
