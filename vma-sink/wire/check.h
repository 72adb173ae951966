/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checks of the stream: wire-format.md, [G4].
 */
#ifndef WIRE_CHECK_H
#define WIRE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32 of the preamble's bytes. */
uint32_t wire_check_preamble(const void *data, size_t bytes);

/* What all other checks of a stream begin with: the CRC-32 of its uuid. */
uint32_t wire_check_seed(const uint8_t uuid[16]);

/* The check of BYTES bytes, which are a structure without its check. */
uint32_t wire_check(uint32_t seed, const void *data, size_t bytes);

#endif /* WIRE_CHECK_H */
