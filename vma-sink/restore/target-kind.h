/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between restore/target.c and the kinds of target, and for nobody else.
 */
#ifndef RESTORE_TARGET_KIND_H
#define RESTORE_TARGET_KIND_H

#include "restore/target.h"

/* Offsets and sizes given to these lie within the disk. */
typedef struct RestoreTargetKind {
    /*
     * May return before the bytes are written, and then has a copy of them.  An
     * error of one write may come with a later one, or with finish().
     */
    bool (*write)(RestoreTarget *target, const uint8_t *data, size_t bytes,
                  uint64_t offset, GError **error);

    /*
     * Makes bytes read as zeroes; the same as for write().  OFFSET is a
     * multiple of 4096, and only at the disk's end BYTES may be none.  NULL:
     * what is not written reads as zeroes (a new file).
     */
    bool (*zero)(RestoreTarget *target, uint64_t offset, uint64_t bytes,
                 GError **error);

    /* Makes all that was written durable.  NULL: somebody else does. */
    bool (*finish)(RestoreTarget *target, GError **error);

    void (*free)(RestoreTarget *target);
} RestoreTargetKind;

/* The first member of each kind's own struct. */
struct RestoreTarget {
    /* Set at creation, never changed. */
    const RestoreTargetKind *kind;
    char *name;                 /* owned */
    uint64_t limit_bytes;       /* the disk's size, or RESTORE_SIZE_UNKNOWN */
    bool zeroed;                /* zeroes need not be written */

    RestoreTargetState state;
    uint64_t end_bytes;         /* end of the last block written */
    uint64_t stored_bytes;

    /* The blocks that wait to be written. */
    const uint8_t *run;
    size_t run_bytes;
    uint64_t run_offset;        /* in the disk */

    /* The zeroes that wait to be written. */
    uint64_t zero_offset;
    uint64_t zero_bytes;
};

/*
 * Whether a place of HAVE bytes can take a disk of NEED bytes; notes if it is
 * larger.  False, of kind USAGE: it is too small.
 */
bool restore_target_check_size(const char *name, uint64_t have, uint64_t need,
                               GError **error);

#endif /* RESTORE_TARGET_KIND_H */
