/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of an archive that is in memory: it is read once, front to back,
 * from a file or a pipe, and what is not passed over yet can be looked at
 * again.  What the bytes mean is not known here.
 *
 * It is where the input has decompressed it, as long as that holds all that is
 * asked for; else it is copied together.
 */
#ifndef VMA_WINDOW_H
#define VMA_WINDOW_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/input.h"

typedef struct VmaWindow {
    IoInput *input;             /* borrowed */
    uint8_t *buffer;
    size_t capacity;
    uint8_t *taken;             /* of the input; NULL: it is in the buffer */
    size_t at;                  /* where the current place is in it */
    size_t end;                 /* of what was read */
    uint64_t offset;            /* of the current place in the archive */
} VmaWindow;

/* Room for ROOM bytes, more where more is asked for. */
void vma_window_init(VmaWindow *window, IoInput *input, size_t room);
void vma_window_clear(VmaWindow *window);

/* What is in memory from the current place on, until the next call. */
static inline uint8_t *vma_window_data(const VmaWindow *window)
{
    return (window->taken ? window->taken : window->buffer) + window->at;
}

static inline size_t vma_window_bytes(const VmaWindow *window)
{
    return window->end - window->at;
}

/*
 * Reads until there are BYTES bytes or more, or fewer where the input ends.
 * The buffer grows only as fast as they really arrive.  False: the input can't
 * be read.
 *
 * Each byte is moved once at the most for each ROOM / 2 bytes that are passed
 * over, as long as no more than ROOM / 2 are asked for.
 */
bool vma_window_fill(VmaWindow *window, size_t bytes, GError **error);

/* Passes over bytes that are there. */
void vma_window_skip(VmaWindow *window, size_t bytes);

#endif /* VMA_WINDOW_H */
