/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which clusters of a disk are known to be zeroes, learnt bit by bit from
 * extents of any length, in order, and asked about in the same order.  What the
 * answers are taken from is not its business.
 */
#ifndef SOURCE_ZERO_MAP_H
#define SOURCE_ZERO_MAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ZeroMap ZeroMap;

ZeroMap *zero_map_new(uint64_t disk_bytes);
void zero_map_free(ZeroMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ZeroMap, zero_map_free)

/*
 * Before anything is learnt: every part of the disk is asked about by two
 * questions, one after the other, and is zeroes where both answers say so.
 */
void zero_map_ask_twice(ZeroMap *map);

/* Everything before this byte is known; the next question starts here. */
uint64_t zero_map_known_bytes(const ZeroMap *map);

/* How many bytes the next question is about, at most so many. */
uint64_t zero_map_question_bytes(const ZeroMap *map, uint64_t most);

/* Where the next extent of an answer starts. */
uint64_t zero_map_next_byte(const ZeroMap *map);

/* An answer has ended.  False: nothing was learnt from it. */
bool zero_map_end_answer(ZeroMap *map);

/*
 * The next BYTES bytes, cut to the disk's size, are all zeroes, or may be
 * anything.  False, and nothing is learnt, where the map is full: it has room
 * again when some of it has been asked about.
 */
bool zero_map_add(ZeroMap *map, uint64_t bytes, bool zero);

/*
 * How many clusters from FROM on are all zeroes, or all need to be read, as far
 * as is known; 0 if more has to be learnt first.  FROM lies within the disk and
 * never goes back: what is before it is forgotten.
 */
uint64_t zero_map_run(ZeroMap *map, uint64_t from, bool *zero);

#endif /* SOURCE_ZERO_MAP_H */
