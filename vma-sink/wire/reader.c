/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a stream and holds it to wire-format.md.
 *
 * A record costs one system call where it can: the header of the next record
 * is asked for together with the last bytes of a payload (readv), which never
 * blocks longer than the payload itself, because a read returns what is there.
 * Only control payloads pass through a buffer of this reader.
 */
#include "wire/reader.h"

#include <string.h>
#include <xxhash.h>

#include "backup/clusters.h"
#include "backup/error.h"
#include "io/io.h"
#include "wire/check.h"
#include "wire/preamble.h"

#define NS_PER_S 1000000000u

typedef struct DeviceState {
    BackupDevice *device;       /* NULL: no such device */
    ClusterSet *seen;
    uint64_t clusters;          /* how many the device has */
    uint64_t data_clusters;
    uint64_t zero_clusters;
    bool ended;
} DeviceState;

/* What was read so far, for END. */
typedef struct WireTotals {
    uint64_t records;
    uint64_t data_clusters;
    uint64_t zero_clusters;
    uint64_t data_bytes;
} WireTotals;

struct WireReader {
    /* Set at creation, never changed. */
    WireReadFunc *read;
    void *read_opaque;
    int fd;                     /* of read_descriptor() */

    /* Set when the preamble has been read, never changed. */
    BackupInfo *info;
    uint32_t features;
    uint32_t check_seed;

    /* The record being read. */
    union {
        WireRecord record;
        uint8_t bytes[sizeof(WireRecord)];
    } header;
    size_t header_got;          /* bytes of it read ahead */
    uint64_t record_offset;     /* where it starts in the stream */
    uint32_t payload_left;
    uint64_t payload_hash;
    XXH64_state_t *hash;

    uint64_t offset;            /* in the stream, of the next byte to use */
    unsigned devices_open;
    WireTotals totals;
    DeviceState devices[BACKUP_DEVICE_IDS];
};

/* WireReadFunc */
static bool read_descriptor(void *opaque, struct iovec *iov, int count,
                            size_t *got, GError **error)
{
    const WireReader *r = opaque;

    return io_readv_some(r->fd, iov, count, got, error);
}

/* As io_read(). */
static bool read_whole(WireReader *r, void *buffer, size_t bytes, size_t *got,
                       GError **error)
{
    size_t n = 1;

    for (*got = 0; *got < bytes && n > 0; *got += n) {
        struct iovec iov = {
            .iov_base = (uint8_t *)buffer + *got,
            .iov_len = bytes - *got,
        };

        if (!r->read(r->read_opaque, &iov, 1, &n, error)) {
            return false;
        }
    }
    return true;
}

/* For errors of reading itself. */
static bool read_failed(WireReader *r, GError **error)
{
    g_prefix_error(error, "cannot read the stream at offset %"
                   G_GUINT64_FORMAT ": ", r->offset);
    return false;
}

/* Every error of a record says where the record is. */
static void prefix_record(WireReader *r, GError **error)
{
    g_prefix_error(error, "record at offset %" G_GUINT64_FORMAT
                   " of the stream: ", r->record_offset);
}

static bool read_preamble(WireReader *r, GError **error)
{
    g_autofree uint8_t *data = NULL;
    WirePreamble start;
    size_t bytes, got;

    if (!read_whole(r, &start, sizeof(start), &got, error)) {
        return false;
    }
    if (got == 0) {
        backup_error_set_incomplete(error, "there is no stream: the input is "
                                    "empty");
        return false;
    }
    if (got < sizeof(start)) {
        /* Too short for a stream, but was it going to be one? */
        if (memcmp(start.magic, WIRE_MAGIC, MIN(got, sizeof(start.magic)))) {
            backup_error_set_damaged(error, "not a QEMU backup stream");
        } else {
            backup_error_set_incomplete(error, "the stream ends in its "
                                        "preamble, after %zu bytes", got);
        }
        return false;
    }
    if (!wire_preamble_size(&start, &bytes, error)) {
        return false;
    }
    data = g_malloc(bytes);
    memcpy(data, &start, sizeof(start));
    if (!read_whole(r, data + sizeof(start), bytes - sizeof(start), &got,
                    error)) {
        return false;
    }
    if (got < bytes - sizeof(start)) {
        backup_error_set_incomplete(error, "the stream ends in its preamble, "
                                    "after %zu bytes", sizeof(start) + got);
        return false;
    }
    r->offset = bytes;
    r->info = wire_preamble_decode(data, bytes, &r->features, error);
    return r->info != NULL;
}

/* Takes over R, of which it is known only how to read. */
static WireReader *start(WireReader *reader, GError **error)
{
    g_autoptr(WireReader) r = reader;

    if (!read_preamble(r, error)) {
        g_prefix_error(error, "cannot read the stream: ");
        return NULL;
    }
    r->check_seed = wire_check_seed(r->info->uuid);
    r->devices_open = r->info->devices->len;
    for (guint i = 0; i < r->info->devices->len; i++) {
        BackupDevice *device = g_ptr_array_index(r->info->devices, i);
        DeviceState *state = &r->devices[device->id];

        state->device = device;
        state->clusters = backup_clusters(device->size_bytes);
        state->seen = cluster_set_new(state->clusters);
    }
    if (r->features & WIRE_FEATURE_PAYLOAD_HASH) {
        r->hash = XXH64_createState();
    }
    return g_steal_pointer(&r);
}

WireReader *wire_reader_new(int fd, GError **error)
{
    WireReader *r = g_new0(WireReader, 1);

    r->read = read_descriptor;
    r->read_opaque = r;
    r->fd = fd;
    return start(r, error);
}

WireReader *wire_reader_new_from(WireReadFunc *func, void *opaque,
                                 GError **error)
{
    WireReader *r = g_new0(WireReader, 1);

    r->read = func;
    r->read_opaque = opaque;
    return start(r, error);
}

void wire_reader_free(WireReader *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < BACKUP_DEVICE_IDS; i++) {
        cluster_set_free(r->devices[i].seen);
    }
    XXH64_freeState(r->hash);
    backup_info_free(r->info);
    g_free(r);
}

const BackupInfo *wire_reader_info(const WireReader *r)
{
    return r->info;
}

uint32_t wire_reader_features(const WireReader *r)
{
    return r->features;
}

/* Reads the header, or what is missing of it. */
static bool read_header(WireReader *r, GError **error)
{
    size_t got;

    r->record_offset = r->offset;
    if (r->header_got < sizeof(r->header)) {
        if (!read_whole(r, r->header.bytes + r->header_got,
                        sizeof(r->header) - r->header_got, &got, error)) {
            return read_failed(r, error);
        }
        r->header_got += got;
    }
    if (r->header_got == 0) {
        backup_error_set_incomplete(error, "the stream stops at offset %"
                                    G_GUINT64_FORMAT ", before the end record: "
                                    "the producer died or the connection was "
                                    "lost", r->offset);
        return false;
    }
    if (r->header_got < sizeof(r->header)) {
        backup_error_set_incomplete(error, "the stream stops at offset %"
                                    G_GUINT64_FORMAT ", in a record header: "
                                    "the producer died or the connection was "
                                    "lost", r->offset + r->header_got);
        return false;
    }
    r->header_got = 0;
    r->offset += sizeof(r->header);
    return true;
}

/* [R1]: magic and check, before any other field is looked at. */
static bool verify_header(WireReader *r, GError **error)
{
    const WireRecord *h = &r->header.record;

    if (memcmp(h->magic, WIRE_RECORD_MAGIC, sizeof(h->magic)) != 0) {
        backup_error_set_damaged(error, "this is no record header");
        return false;
    }
    if (GUINT32_FROM_BE(h->check) !=
        wire_check(r->check_seed, h, offsetof(WireRecord, check))) {
        backup_error_set_damaged(error, "the check of the header is wrong");
        return false;
    }
    return true;
}

/* Bytes that do not fit the stop of the input: always the same words. */
static void set_payload_cut(WireReader *r, GError **error)
{
    backup_error_set_incomplete(error, "the stream stops at offset %"
                                G_GUINT64_FORMAT ", in a payload: the producer "
                                "died or the connection was lost", r->offset);
}

/* Reads a whole small payload to a buffer of this reader's caller. */
static bool read_control(WireReader *r, void *buffer, size_t bytes,
                         GError **error)
{
    size_t got;

    if (!read_whole(r, buffer, bytes, &got, error)) {
        return read_failed(r, error);
    }
    r->offset += got;
    if (got < bytes) {
        set_payload_cut(r, error);
        return false;
    }
    return true;
}

/* The check that ends a control payload. */
static bool verify_control(WireReader *r, const void *payload, size_t bytes,
                           GError **error)
{
    uint32_t check;

    memcpy(&check, (const uint8_t *)payload + bytes - sizeof(check),
           sizeof(check));
    if (GUINT32_FROM_BE(check) !=
        wire_check(r->check_seed, payload, bytes - sizeof(check))) {
        backup_error_set_damaged(error, "the check of the payload is wrong");
        return false;
    }
    return true;
}

bool wire_reader_payload(WireReader *r, void *buffer, size_t bytes,
                         GError **error)
{
    uint8_t *p = buffer;
    size_t left = bytes;

    g_assert(bytes <= r->payload_left);
    while (left > 0) {
        bool last = left == r->payload_left;
        struct iovec iov[2] = {
            { .iov_base = p, .iov_len = left },
            { .iov_base = r->header.bytes, .iov_len = sizeof(r->header) },
        };
        size_t got;

        if (!r->read(r->read_opaque, iov, last ? 2 : 1, &got, error)) {
            return read_failed(r, error);
        }
        if (got == 0) {
            set_payload_cut(r, error);
            return false;
        }
        if (got > left) {
            r->header_got = got - left;
            got = left;
        }
        p += got;
        left -= got;
        r->payload_left -= got;
        r->offset += got;
    }
    if (r->hash) {
        XXH64_update(r->hash, buffer, bytes);
        if (r->payload_left == 0 && XXH64_digest(r->hash) != r->payload_hash) {
            backup_error_set_damaged(error, "the hash of the payload is wrong");
            prefix_record(r, error);
            return false;
        }
    }
    return true;
}

/* The device of a record, [R3], which must not have ended yet, [E1]. */
static DeviceState *open_device(WireReader *r, GError **error)
{
    uint8_t id = r->header.record.device_id;
    DeviceState *state = &r->devices[id];

    if (!state->device) {
        backup_error_set_damaged(error, "there is no device id %u", id);
        return NULL;
    }
    if (state->ended) {
        backup_error_set_damaged(error, "it is of device '%s' and comes after "
                                 "its end", state->device->name);
        return NULL;
    }
    return state;
}

/* DATA and ZERO: [R4], [R5], [R6]. */
static bool start_run(WireReader *r, bool data, WireRun *run, GError **error)
{
    const WireRecord *h = &r->header.record;
    DeviceState *state = open_device(r, error);
    uint64_t first = GUINT32_FROM_BE(h->cluster_number);
    uint64_t count = GUINT32_FROM_BE(h->cluster_count);
    uint32_t payload = GUINT32_FROM_BE(h->payload_bytes);
    uint64_t duplicate;

    if (!state) {
        return false;
    }
    if (count == 0 || (data && count > WIRE_DATA_MAX_CLUSTERS)) {
        backup_error_set_damaged(error, "bad cluster count %" G_GUINT64_FORMAT,
                                 count);
        return false;
    }
    if (first + count > state->clusters) {
        backup_error_set_damaged(error, "cluster %" G_GUINT64_FORMAT
                                 " is beyond the end of device '%s'",
                                 first + count - 1, state->device->name);
        return false;
    }
    *run = (WireRun) {
        .device = state->device,
        .cluster_number = first,
        .cluster_count = count,
        .payload_bytes = data ? backup_run_bytes(state->device->size_bytes,
                                                 first, count) : 0,
    };
    if (payload != run->payload_bytes) {
        backup_error_set_damaged(error, "bad payload size %u, not %u", payload,
                                 run->payload_bytes);
        return false;
    }
    if (!cluster_set_add_run(state->seen, first, count, &duplicate)) {
        backup_error_set_damaged(error, "cluster %" G_GUINT64_FORMAT
                                 " of device '%s' comes a second time",
                                 duplicate, state->device->name);
        return false;
    }
    *(data ? &state->data_clusters : &state->zero_clusters) += count;
    *(data ? &r->totals.data_clusters : &r->totals.zero_clusters) += count;
    r->totals.data_bytes += run->payload_bytes;
    r->payload_left = run->payload_bytes;
    r->payload_hash = GUINT64_FROM_BE(h->payload_hash);
    if (r->hash) {
        XXH64_reset(r->hash, 0);
    }
    return true;
}

/* [R8]: no run, and a payload between MIN and MAX bytes. */
static bool verify_control_header(WireReader *r, uint32_t min, uint32_t max,
                                  GError **error)
{
    const WireRecord *h = &r->header.record;
    uint32_t payload = GUINT32_FROM_BE(h->payload_bytes);

    if (h->cluster_number || h->cluster_count) {
        backup_error_set_damaged(error, "cluster fields of a record without a "
                                 "run are not zero");
        return false;
    }
    if (payload < min || payload > max) {
        backup_error_set_damaged(error, "bad payload size %u", payload);
        return false;
    }
    return true;
}

static bool device_end(WireReader *r, GError **error)
{
    DeviceState *state = open_device(r, error);
    WireDeviceEnd end;
    uint64_t missing;

    if (!state ||
        !verify_control_header(r, sizeof(end), sizeof(end), error) ||
        !read_control(r, &end, sizeof(end), error) ||
        !verify_control(r, &end, sizeof(end), error)) {
        return false;
    }
    if (end.reserved) {
        backup_error_set_damaged(error, "reserved field of the device's end is "
                                 "not zero");
        return false;
    }
    missing = cluster_set_missing(state->seen);
    if (missing > 0) {
        backup_error_set_damaged(error, "device '%s' ends with %"
                                 G_GUINT64_FORMAT " clusters missing, the "
                                 "first is %" G_GUINT64_FORMAT,
                                 state->device->name, missing,
                                 cluster_set_first_missing(state->seen));
        return false;
    }
    if (GUINT64_FROM_BE(end.data_clusters) != state->data_clusters ||
        GUINT64_FROM_BE(end.zero_clusters) != state->zero_clusters) {
        backup_error_set_damaged(error, "the totals of device '%s' differ from "
                                 "what was received", state->device->name);
        return false;
    }
    state->ended = true;
    r->devices_open--;
    return true;
}

static bool verify_no_device(WireReader *r, GError **error)
{
    if (r->header.record.device_id != 0) {
        backup_error_set_damaged(error, "device id %u in a record of no device",
                                 r->header.record.device_id);
        return false;
    }
    return true;
}

static bool end(WireReader *r, GError **error)
{
    const WireTotals *t = &r->totals;
    WireEnd end;

    if (!verify_no_device(r, error) ||
        !verify_control_header(r, sizeof(end), sizeof(end), error) ||
        !read_control(r, &end, sizeof(end), error) ||
        !verify_control(r, &end, sizeof(end), error)) {
        return false;
    }
    if (r->devices_open > 0) {
        backup_error_set_damaged(error, "the stream ends while %u devices have "
                                 "not ended", r->devices_open);
        return false;
    }
    if (GUINT64_FROM_BE(end.records) != t->records ||
        GUINT64_FROM_BE(end.data_clusters) != t->data_clusters ||
        GUINT64_FROM_BE(end.zero_clusters) != t->zero_clusters ||
        GUINT64_FROM_BE(end.data_bytes) != t->data_bytes) {
        backup_error_set_damaged(error, "the totals of the stream differ from "
                                 "what was received");
        return false;
    }
    if (GUINT32_FROM_BE(end.end_time_ns) >= NS_PER_S) {
        backup_error_set_damaged(error, "bad end time: %u nanoseconds",
                                 GUINT32_FROM_BE(end.end_time_ns));
        return false;
    }
    return true;
}

/* Always false: an aborted stream is an error, the producer's own. */
static bool abort_record(WireReader *r, GError **error)
{
    static const char *const reasons[] = {
        [WIRE_ABORT_SOURCE] = "a disk could not be read",
        [WIRE_ABORT_CANCELLED] = "cancelled",
        [WIRE_ABORT_TIMEOUT] = "the consumer was too slow",
        [WIRE_ABORT_OTHER] = "it failed",
    };
    uint8_t payload[WIRE_ABORT_MAX_BYTES];
    size_t bytes = GUINT32_FROM_BE(r->header.record.payload_bytes);
    size_t message_bytes = bytes - WIRE_ABORT_MIN_BYTES;
    const char *message = (char *)payload + sizeof(uint32_t);
    uint32_t reason;

    if (!verify_no_device(r, error) ||
        !verify_control_header(r, WIRE_ABORT_MIN_BYTES, WIRE_ABORT_MAX_BYTES,
                               error) ||
        !read_control(r, payload, bytes, error) ||
        !verify_control(r, payload, bytes, error)) {
        return false;
    }
    if (!backup_text_is_valid(message, message_bytes)) {
        backup_error_set_damaged(error, "bad message in the abort record");
        return false;
    }
    memcpy(&reason, payload, sizeof(reason));
    reason = GUINT32_FROM_BE(reason);
    if (reason < 1 || reason > WIRE_ABORT_OTHER) {
        reason = WIRE_ABORT_OTHER;
    }
    backup_error_set_incomplete(error, "the producer gave up: %s%s%.*s",
                                reasons[reason], message_bytes ? ": " : "",
                                (int)message_bytes, message);
    return false;
}

/* [R2]: skips the payload of a record that need not be known. */
static bool skip_ignorable(WireReader *r, GError **error)
{
    uint32_t bytes = GUINT32_FROM_BE(r->header.record.payload_bytes);
    g_autofree uint8_t *payload = NULL;

    if (bytes > WIRE_IGNORABLE_MAX_BYTES) {
        backup_error_set_damaged(error, "bad payload size %u", bytes);
        return false;
    }
    payload = g_malloc(bytes);
    return read_control(r, payload, bytes, error);
}

/* What holds for all records that are not ignorable: [G2], [F1]. */
static bool verify_common(WireReader *r, GError **error)
{
    const WireRecord *h = &r->header.record;

    if (h->reserved) {
        backup_error_set_damaged(error, "reserved field of the header is not "
                                 "zero");
        return false;
    }
    if (h->payload_hash && !(r->hash && h->type == WIRE_RECORD_DATA)) {
        backup_error_set_damaged(error, "payload hash where none may be");
        return false;
    }
    return true;
}

/* One record; *event is set where the caller has to be told of it. */
static bool read_record(WireReader *r, WireRun *run, WireEvent *event,
                        GError **error)
{
    uint8_t type = r->header.record.type;

    if (!verify_header(r, error)) {
        return false;
    }
    if (type >= WIRE_RECORD_IGNORABLE) {
        return skip_ignorable(r, error);
    }
    if (!verify_common(r, error)) {
        return false;
    }
    switch (type) {
    case WIRE_RECORD_DATA:
        *event = WIRE_EVENT_DATA;
        return start_run(r, true, run, error);
    case WIRE_RECORD_ZERO:
        *event = WIRE_EVENT_ZERO;
        return start_run(r, false, run, error);
    case WIRE_RECORD_DEVICE_END:
        return device_end(r, error);
    case WIRE_RECORD_END:
        *event = WIRE_EVENT_END;
        return end(r, error);
    case WIRE_RECORD_ABORT:
        return abort_record(r, error);
    default:
        backup_error_set_damaged(error, "unknown record type %u", type);
        return false;
    }
}

WireEvent wire_reader_next(WireReader *r, WireRun *run, GError **error)
{
    WireEvent event = WIRE_EVENT_ERROR;     /* none yet */

    g_assert(r->payload_left == 0);
    while (event == WIRE_EVENT_ERROR) {
        if (!read_header(r, error)) {
            return WIRE_EVENT_ERROR;
        }
        if (!read_record(r, run, &event, error)) {
            prefix_record(r, error);
            return WIRE_EVENT_ERROR;
        }
        if (event != WIRE_EVENT_END) {
            r->totals.records++;
        }
    }
    return event;
}
