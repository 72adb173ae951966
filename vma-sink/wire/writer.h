/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a stream to a descriptor.  That every cluster is sent once is the
 * caller's duty; the totals are counted here.
 */
#ifndef WIRE_WRITER_H
#define WIRE_WRITER_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "wire/format.h"

typedef struct WireWriter WireWriter;

/*
 * Writes the preamble.  INFO and the descriptor are borrowed and must outlive
 * the writer.  FEATURES: WIRE_FEATURE_..., of which ANSWER takes a socket, and
 * leaves it to the caller to read one: here every write fails once something of
 * it is there, as a reader that has answered may never read on.
 */
WireWriter *wire_writer_new(int fd, const BackupInfo *info, uint32_t features,
                            GError **error);

/* Writes nothing: a stream without END is one that the reader refuses. */
void wire_writer_free(WireWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WireWriter, wire_writer_free)

/*
 * A run of COUNT clusters from NUMBER on, 1 to WIRE_DATA_MAX_CLUSTERS of them;
 * DATA has what backup_run_bytes() says.  One system call, no copy.
 */
bool wire_writer_data(WireWriter *writer, const BackupDevice *device,
                      uint64_t number, uint64_t count, const void *data,
                      GError **error);

/* A run of zeroes, of any length above 0. */
bool wire_writer_zero(WireWriter *writer, const BackupDevice *device,
                      uint64_t number, uint64_t count, GError **error);

/* All clusters of the device have been sent. */
bool wire_writer_device_end(WireWriter *writer, const BackupDevice *device,
                            GError **error);

/* All devices have ended: the backup is whole. */
bool wire_writer_finish(WireWriter *writer, GError **error);

/*
 * The producer gives up, for REASON (WIRE_ABORT_...).  Nothing may follow.
 * Does nothing after a write error, which may have torn a record.
 */
void wire_writer_abort(WireWriter *writer, uint32_t reason,
                       const char *message);

/* Whether a write error has ended the stream, perhaps in a record's middle. */
bool wire_writer_is_torn(const WireWriter *writer);

#endif /* WIRE_WRITER_H */
