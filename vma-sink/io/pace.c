/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds a flow of bytes down to a rate.
 */
#include "io/pace.h"

#include <poll.h>

#include "io/io.h"

/* A wait for one part lasts so long, an eighth of a second. */
#define PARTS_PER_SECOND 8u

size_t io_pace_part(const IoPace *pace)
{
    return pace->rate ? MAX(pace->rate / PARTS_PER_SECOND, 1) : SIZE_MAX;
}

bool io_pace_wait(IoPace *pace, size_t bytes, GError **error)
{
    int64_t now_us = g_get_monotonic_time();

    if (!pace->rate) {
        return true;
    }
    pace->due_us = MAX(pace->due_us, now_us) +
                   (double)bytes * G_USEC_PER_SEC / pace->rate;
    while (!io_interrupted(error)) {
        int64_t left_us = pace->due_us - g_get_monotonic_time();

        if (left_us <= 0) {
            return true;
        }
        /* A signal ends it; nothing else is waited for. */
        (void)poll(NULL, 0, MIN((left_us + 999) / 1000, G_MAXINT));
    }
    return false;
}
