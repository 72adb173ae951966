/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structs and constants of the QEMU backup stream, as wire-format.md
 * defines them.  Layout only: how they are read and written is in reader.c
 * and writer.c.  This file knows nothing of archives.
 *
 * All integers in these structs are big-endian; no value of one may leave the
 * reader or the writer unconverted.
 */
#ifndef WIRE_FORMAT_H
#define WIRE_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC "\x89QBS\r\n\x1a\n"
#define WIRE_RECORD_MAGIC "QBSr"
#define WIRE_ANSWER_MAGIC "QBSa"
#define WIRE_VERSION 1

#define WIRE_CLUSTER_BYTES 65536u
#define WIRE_SECTOR_BYTES 512u

#define WIRE_FEATURE_PAYLOAD_HASH 0x1u
#define WIRE_FEATURE_ANSWER 0x2u
#define WIRE_FEATURES_KNOWN (WIRE_FEATURE_PAYLOAD_HASH | WIRE_FEATURE_ANSWER)

/* Limits: wire-format.md, section 8. */
#define WIRE_PREAMBLE_MIN_BYTES 72u
#define WIRE_PREAMBLE_MAX_BYTES (17u << 20)
#define WIRE_DEVICE_ID_MIN 1u
#define WIRE_DEVICE_ID_MAX 254u
#define WIRE_DEVICES_MAX 254u
#define WIRE_DEVICE_MAX_BYTES (UINT64_C(1) << 48)
#define WIRE_CONFIGS_MAX 256u
#define WIRE_CONFIG_MAX_BYTES 65535u
#define WIRE_NAME_MAX_BYTES 255u
#define WIRE_DATA_MAX_CLUSTERS 64u
#define WIRE_IGNORABLE_MAX_BYTES 65536u
#define WIRE_MESSAGE_MAX_BYTES 1024u

enum {
    WIRE_RECORD_DATA = 1,
    WIRE_RECORD_ZERO = 2,
    WIRE_RECORD_DEVICE_END = 3,
    WIRE_RECORD_END = 4,
    WIRE_RECORD_ABORT = 5,
    WIRE_RECORD_IGNORABLE = 128, /* and every type above it */
};

enum {
    WIRE_ABORT_SOURCE = 1,      /* a disk could not be read */
    WIRE_ABORT_CANCELLED = 2,   /* by the user */
    WIRE_ABORT_TIMEOUT = 3,     /* the consumer was too slow */
    WIRE_ABORT_OTHER = 4,
};

enum {
    WIRE_ANSWER_COMMITTED = 0,
    WIRE_ANSWER_FAILED = 1,
};

/* Start of the preamble; entries, 4 reserved bytes and the check follow. */
typedef struct WirePreamble {
    uint8_t magic[8];           /* WIRE_MAGIC */
    uint32_t version;           /* WIRE_VERSION */
    uint32_t preamble_bytes;    /* whole preamble, check included */
    uint32_t features;          /* WIRE_FEATURE_... */
    uint32_t cluster_bytes;     /* WIRE_CLUSTER_BYTES */
    uint16_t device_count;
    uint16_t config_count;
    uint32_t start_time_ns;
    int64_t start_time_s;       /* UTC, since the epoch */
    uint8_t uuid[16];           /* RFC 4122 order */
    uint8_t reserved[8];
} __attribute__((packed)) WirePreamble;
static_assert(sizeof(WirePreamble) == 64, "wire-format.md, section 3");
static_assert(offsetof(WirePreamble, uuid) == 40, "wire-format.md, section 3");

/* Followed by the name, padded to a multiple of 8 bytes. */
typedef struct WireDevice {
    uint8_t device_id;
    uint8_t reserved1;
    uint16_t name_bytes;
    uint32_t reserved2;
    uint64_t size_bytes;
} __attribute__((packed)) WireDevice;
static_assert(sizeof(WireDevice) == 16, "wire-format.md, section 3");

/* Followed by name and data, together padded to a multiple of 8 bytes. */
typedef struct WireConfig {
    uint16_t name_bytes;
    uint16_t reserved;
    uint32_t data_bytes;
} __attribute__((packed)) WireConfig;
static_assert(sizeof(WireConfig) == 8, "wire-format.md, section 3");

typedef struct WirePreambleTail {
    uint32_t reserved;
    uint32_t check;             /* over the whole preamble before it */
} __attribute__((packed)) WirePreambleTail;
static_assert(sizeof(WirePreambleTail) == 8, "wire-format.md, section 3");

typedef struct WireRecord {
    uint8_t magic[4];           /* WIRE_RECORD_MAGIC */
    uint8_t type;               /* WIRE_RECORD_... */
    uint8_t device_id;          /* 0: of no device */
    uint16_t reserved;
    uint64_t payload_hash;      /* XXH64, or 0 */
    uint32_t cluster_number;
    uint32_t cluster_count;
    uint32_t payload_bytes;
    uint32_t check;             /* over uuid and the bytes before it */
} __attribute__((packed)) WireRecord;
static_assert(sizeof(WireRecord) == 32, "wire-format.md, section 4");
static_assert(offsetof(WireRecord, check) == 28, "wire-format.md, section 4");

typedef struct WireDeviceEnd {
    uint64_t data_clusters;
    uint64_t zero_clusters;
    uint32_t reserved;
    uint32_t check;             /* over uuid and the bytes before it */
} __attribute__((packed)) WireDeviceEnd;
static_assert(sizeof(WireDeviceEnd) == 24, "wire-format.md, section 5");

typedef struct WireEnd {
    uint64_t records;           /* before this one, of all types */
    uint64_t data_clusters;
    uint64_t zero_clusters;
    uint64_t data_bytes;        /* payload of all DATA records */
    int64_t end_time_s;
    uint32_t end_time_ns;
    uint32_t check;             /* over uuid and the bytes before it */
} __attribute__((packed)) WireEnd;
static_assert(sizeof(WireEnd) == 48, "wire-format.md, section 5");

/* ABORT's payload: u32 reason, message, u32 check. */
#define WIRE_ABORT_MIN_BYTES 8u
#define WIRE_ABORT_MAX_BYTES (WIRE_ABORT_MIN_BYTES + WIRE_MESSAGE_MAX_BYTES)

/* Followed by the message and a u32 check over uuid and all before it. */
typedef struct WireAnswer {
    uint8_t magic[4];           /* WIRE_ANSWER_MAGIC */
    uint32_t status;            /* WIRE_ANSWER_... */
    uint32_t message_bytes;
    uint32_t reserved;
} __attribute__((packed)) WireAnswer;
static_assert(sizeof(WireAnswer) == 16, "wire-format.md, section 6");

#endif /* WIRE_FORMAT_H */
