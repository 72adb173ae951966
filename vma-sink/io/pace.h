/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds a flow of bytes down to a rate, by waiting after each part of it.  What
 * was not used of the rate in the past is not made up for.
 */
#ifndef IO_PACE_H
#define IO_PACE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IoPace {
    uint64_t rate;              /* bytes per second; 0: any; never changed */
    int64_t due_us;             /* when what has passed should have; start at 0 */
} IoPace;

/*
 * How many bytes may pass at once, so that no wait is long; SIZE_MAX: any.
 */
size_t io_pace_part(const IoPace *pace);

/* After BYTES have passed.  False: a signal came (io/io.h). */
bool io_pace_wait(IoPace *pace, size_t bytes, GError **error);

#endif /* IO_PACE_H */
