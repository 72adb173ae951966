/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a stream: an end or an error, nothing else.
 */
#include "input.h"
#include "wire/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static uint8_t buffer[WIRE_DATA_MAX_CLUSTERS * WIRE_CLUSTER_BYTES];
    g_autoptr(GError) error = NULL;
    g_autoptr(WireReader) reader = wire_reader_new(input_fd(data, bytes),
                                                   &error);
    WireEvent event = reader ? WIRE_EVENT_ZERO : WIRE_EVENT_ERROR;

    while (event == WIRE_EVENT_ZERO || event == WIRE_EVENT_DATA) {
        WireRun run;

        event = wire_reader_next(reader, &run, &error);
        if (event == WIRE_EVENT_DATA &&
            !wire_reader_payload(reader, buffer, run.payload_bytes, &error)) {
            event = WIRE_EVENT_ERROR;
        }
    }
    g_assert((event == WIRE_EVENT_ERROR) == (error != NULL));
    return 0;
}
