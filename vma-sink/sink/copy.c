/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline from a stream to an output.
 *
 * Data go from the descriptor straight to where the output's format wants them,
 * and from there to the file: for a plain archive from one extent in memory
 * while the next one is read (io/write-behind.h).  Once the output is a few
 * extents behind nothing is read here, so a slow disk slows the producer, unless
 * the stream is read ahead (io/read-ahead.h), and memory stays what it is.
 * Either side's death shows as an error of a read or a write.
 */
#include "sink/copy.h"

/* A DATA run, which may be more than the output has room for at once. */
static bool copy_data(WireReader *reader, SinkOutput *output,
                      const WireRun *run, GError **error)
{
    const SinkFormat *format = output->format;
    uint64_t number = run->cluster_number;
    uint64_t end = number + run->cluster_count;

    while (number < end) {
        unsigned room;
        uint8_t *buffer = format->room(output, &room, error);
        unsigned count = MIN(room, end - number);

        if (!buffer ||
            !wire_reader_payload(reader, buffer,
                                 backup_run_bytes(run->device->size_bytes,
                                                  number, count), error) ||
            !format->add_data(output, run->device, number, count, error)) {
            return false;
        }
        number += count;
    }
    return true;
}

bool sink_copy(WireReader *reader, SinkOutput *output, Progress *progress,
               GError **error)
{
    uint64_t total = backup_info_bytes(wire_reader_info(reader));
    uint64_t bytes = 0;

    for (;;) {
        WireRun run;

        progress_update(progress, bytes, output->zero_bytes, total);
        switch (wire_reader_next(reader, &run, error)) {
        case WIRE_EVENT_DATA:
            if (!copy_data(reader, output, &run, error)) {
                return false;
            }
            break;
        case WIRE_EVENT_ZERO:
            if (!output->format->add_zero(output, run.device,
                                          run.cluster_number,
                                          run.cluster_count, error)) {
                return false;
            }
            break;
        case WIRE_EVENT_END:
            return true;
        case WIRE_EVENT_ERROR:
            return false;
        }
        bytes += backup_run_bytes(run.device->size_bytes, run.cluster_number,
                                  run.cluster_count);
    }
}
