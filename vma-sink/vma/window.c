/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of an archive that is in memory.
 */
#include "vma/window.h"

#include <string.h>

/* So little is moved to the front at once, where the caches know the place. */
#define MOVE_BYTES 512u

void vma_window_init(VmaWindow *w, IoInput *input, size_t room)
{
    *w = (VmaWindow) {
        .input = input,
        .buffer = g_malloc(room),
        .capacity = room,
    };
}

void vma_window_clear(VmaWindow *w)
{
    g_clear_pointer(&w->buffer, g_free);
}

static void move_to_front(VmaWindow *w)
{
    memmove(w->buffer, w->buffer + w->at, w->end - w->at);
    w->end -= w->at;
    w->at = 0;
}

/* What is left of what was taken, into the buffer. */
static void copy_taken(VmaWindow *w)
{
    size_t left = vma_window_bytes(w);

    if (w->capacity < left) {
        w->capacity = left;
        w->buffer = g_realloc(w->buffer, left);
    }
    memcpy(w->buffer, vma_window_data(w), left);
    w->taken = NULL;
    w->at = 0;
    w->end = left;
}

static bool take(VmaWindow *w, GError **error)
{
    uint8_t *data = NULL;
    size_t bytes;
    bool ok = io_input_take(w->input, &data, &bytes, error);

    w->taken = bytes > 0 ? data : NULL;
    w->at = 0;
    w->end = bytes;
    return ok;
}

bool vma_window_fill(VmaWindow *w, size_t bytes, GError **error)
{
    size_t got, step;

    if (vma_window_bytes(w) == 0 && bytes > 0 && !take(w, error)) {
        return false;
    }
    if (vma_window_bytes(w) >= bytes) {
        return true;
    }
    if (w->taken) {
        copy_taken(w);
    }
    if (w->at + bytes > w->capacity) {
        move_to_front(w);
    }
    while (w->end - w->at < bytes) {
        step = w->at + bytes - w->end;
        if (w->end == w->capacity) {
            w->capacity *= 2;
            w->buffer = g_realloc(w->buffer, w->capacity);
        }
        step = MIN(step, w->capacity - w->end);
        if (!io_input_read(w->input, w->buffer + w->end, step, &got, error)) {
            w->end += got;
            return false;
        }
        w->end += got;
        if (got < step) {
            break;
        }
    }
    return true;
}

void vma_window_skip(VmaWindow *w, size_t bytes)
{
    g_assert(bytes <= w->end - w->at);
    w->at += bytes;
    w->offset += bytes;
    if (!w->taken && w->end - w->at <= MOVE_BYTES) {
        move_to_front(w);
    }
}
