/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding zeroes in memory, at the speed of memory.
 */
#ifndef IO_ZERO_H
#define IO_ZERO_H

#include <stdbool.h>
#include <stddef.h>

bool io_is_zero(const void *buffer, size_t bytes);

#endif /* IO_ZERO_H */
