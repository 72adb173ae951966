/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline from a stream to an output: the one place that sees both.
 */
#ifndef SINK_COPY_H
#define SINK_COPY_H

#include <glib.h>
#include <stdbool.h>

#include "cli/progress.h"
#include "sink/format.h"
#include "wire/reader.h"

/*
 * Copies everything that the stream still holds to the output, which is left to
 * be finished.  True only where the stream is whole, so that the output was
 * given every cluster of every device exactly once.
 */
bool sink_copy(WireReader *reader, SinkOutput *output, Progress *progress,
               GError **error);

#endif /* SINK_COPY_H */
