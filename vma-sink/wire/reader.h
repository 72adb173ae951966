/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a stream and holds it to wire-format.md, all of it: what this reader
 * hands out needs no further check, and wire_reader_next() says END only of a
 * stream that is whole.
 *
 * Errors are of kind DAMAGED (a requirement is violated), INCOMPLETE (end of
 * file too early, or ABORT) or FAILED (the bytes can't be read), and give
 * the byte offset in the stream.  After an error only _free() may be called.
 */
#ifndef WIRE_READER_H
#define WIRE_READER_H

#include <glib.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "backup/info.h"
#include "wire/format.h"

typedef struct WireReader WireReader;

typedef enum WireEvent {
    WIRE_EVENT_ERROR,           /* *error is set */
    WIRE_EVENT_DATA,            /* a run whose payload must be read now */
    WIRE_EVENT_ZERO,            /* a run of zeroes */
    WIRE_EVENT_END,             /* the stream is whole; nothing follows */
} WireEvent;

/* A run within its device, of clusters that have not been seen before. */
typedef struct WireRun {
    const BackupDevice *device; /* of the reader's info */
    uint64_t cluster_number;
    uint64_t cluster_count;
    uint32_t payload_bytes;     /* DATA: see wire_reader_payload() */
} WireRun;

/*
 * Reads and verifies the preamble.  The descriptor is borrowed and read
 * sequentially from where it stands, never beyond the end of the stream.
 */
WireReader *wire_reader_new(int fd, GError **error);

/*
 * The same where the bytes come from FUNC, which is as io_readv_some() on a
 * descriptor, and knows itself where the stream may end.
 */
typedef bool WireReadFunc(void *opaque, struct iovec *iov, int count,
                          size_t *got, GError **error);
WireReader *wire_reader_new_from(WireReadFunc *func, void *opaque,
                                 GError **error);
void wire_reader_free(WireReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WireReader, wire_reader_free)

/* Valid as long as the reader. */
const BackupInfo *wire_reader_info(const WireReader *reader);
uint32_t wire_reader_features(const WireReader *reader);

/* DEVICE_END and ignorable records are dealt with inside. */
WireEvent wire_reader_next(WireReader *reader, WireRun *run, GError **error);

/*
 * Reads the next BYTES bytes of the current DATA record's payload straight to
 * BUFFER, which is the caller's.  All payload_bytes must have been read, in as
 * many parts as the caller likes, before the next wire_reader_next(); the call
 * that reads the last of them verifies the payload's hash [F1].
 */
bool wire_reader_payload(WireReader *reader, void *buffer, size_t bytes,
                         GError **error);

#endif /* WIRE_READER_H */
