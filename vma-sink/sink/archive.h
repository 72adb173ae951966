/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline from a stream to an archive: the one place that sees both.
 */
#ifndef SINK_ARCHIVE_H
#define SINK_ARCHIVE_H

#include <glib.h>
#include <stdbool.h>

#include "vma/writer.h"
#include "wire/reader.h"

/*
 * Copies everything that the stream still holds to the archive, and finishes
 * the archive, though not its output.  True only where the stream is whole, so
 * that every cluster of every device is in the archive exactly once.
 */
bool sink_archive(WireReader *reader, VmaWriter *writer, GError **error);

#endif /* SINK_ARCHIVE_H */
