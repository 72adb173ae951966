/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pipeline from a stream to an archive.
 *
 * Data go from the descriptor straight into the extent under construction and
 * from there to the output, one extent in memory at a time.  While the output
 * blocks nothing is read, so a slow disk slows the producer and memory stays
 * what it is.  Either side's death shows as an error of a read or a write.
 */
#include "sink/archive.h"

/* A DATA run, which may fill several extents. */
static bool copy_data(WireReader *reader, VmaWriter *writer, const WireRun *run,
                      GError **error)
{
    uint64_t number = run->cluster_number;
    uint64_t end = number + run->cluster_count;

    while (number < end) {
        unsigned room;
        uint8_t *buffer = vma_writer_room(writer, &room, error);
        unsigned count = MIN(room, end - number);

        if (!buffer ||
            !wire_reader_payload(reader, buffer,
                                 backup_run_bytes(run->device->size_bytes,
                                                  number, count), error)) {
            return false;
        }
        vma_writer_add_data(writer, run->device, number, count);
        number += count;
    }
    return true;
}

bool sink_archive(WireReader *reader, VmaWriter *writer, GError **error)
{
    for (;;) {
        WireRun run;

        switch (wire_reader_next(reader, &run, error)) {
        case WIRE_EVENT_DATA:
            if (!copy_data(reader, writer, &run, error)) {
                return false;
            }
            break;
        case WIRE_EVENT_ZERO:
            if (!vma_writer_add_zero(writer, run.device, run.cluster_number,
                                     run.cluster_count, error)) {
                return false;
            }
            break;
        case WIRE_EVENT_END:
            return vma_writer_finish(writer, error);
        case WIRE_EVENT_ERROR:
            return false;
        }
    }
}
