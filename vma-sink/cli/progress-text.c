/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a program has got, in words.
 */
#include "cli/progress-text.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"

#define MIN_BAR_COLUMNS 10
#define MAX_BAR_COLUMNS 40

static unsigned percent(uint64_t part, uint64_t whole)
{
    return whole ? (unsigned)((double)MIN(part, whole) * 100 / whole) : 100;
}

static void append_time(GString *out, double seconds)
{
    uint64_t s = CLAMP(seconds, 0, 359999);

    if (s >= 3600) {
        g_string_append_printf(out, "%u:%02u:%02u", (unsigned)(s / 3600),
                               (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    } else {
        g_string_append_printf(out, "%u:%02u", (unsigned)(s / 60),
                               (unsigned)(s % 60));
    }
}

/* "4.1 GiB of 10.0 GiB, 12% zero, 16.0 MiB buffered", as far as it is known. */
static void append_amount(GString *out, const ProgressState *state)
{
    g_autofree char *bytes = cli_format_size(state->bytes);
    g_autofree char *total = cli_format_size(state->total_bytes);

    g_string_append(out, bytes);
    if (state->total_bytes != PROGRESS_UNKNOWN) {
        g_string_append_printf(out, " of %s", total);
    }
    if (state->zero_bytes != PROGRESS_UNKNOWN) {
        g_string_append_printf(out, ", %u%% zero",
                               state->bytes ? percent(state->zero_bytes,
                                                      state->bytes) : 0);
    }
    if (state->buffered_bytes != PROGRESS_UNKNOWN) {
        g_autofree char *buffered = cli_format_size(state->buffered_bytes);

        g_string_append_printf(out, ", %s buffered", buffered);
    }
}

/* ", 210 MiB/s, 0:28 left". */
static void append_pace(GString *out, const ProgressState *state)
{
    g_autofree char *rate = cli_format_size(state->rate);

    if (!state->busy || state->rate < 1) {
        return;
    }
    g_string_append_printf(out, ", %s/s", rate);
    if (state->total_bytes != PROGRESS_UNKNOWN) {
        g_string_append(out, ", ");
        append_time(out, (state->total_bytes -
                          MIN(state->bytes, state->total_bytes)) /
                         state->rate);
        g_string_append(out, " left");
    }
}

static void append_phase(GString *out, const ProgressState *state)
{
    g_string_append_printf(out, "%s for ", state->phase);
    append_time(out, state->phase_seconds);
}

char *progress_text_line(const ProgressState *state)
{
    GString *out = g_string_new(NULL);

    append_phase(out, state);
    g_string_append(out, ": ");
    if (state->total_bytes != PROGRESS_UNKNOWN) {
        g_string_append_printf(out, "%u%%, ",
                               percent(state->bytes, state->total_bytes));
    }
    append_amount(out, state);
    append_pace(out, state);
    return g_string_free(out, FALSE);
}

/* Puts "[###...] " in front, where there is room. */
static void prepend_bar(GString *out, const ProgressState *state,
                        size_t columns)
{
    char bar[MAX_BAR_COLUMNS + 4];
    size_t cells, filled;

    if (columns < out->len + MIN_BAR_COLUMNS + 3) {
        return;
    }
    cells = MIN(columns - out->len - 3, MAX_BAR_COLUMNS);
    filled = cells * percent(state->bytes, state->total_bytes) / 100;
    bar[0] = '[';
    memset(bar + 1, '#', filled);
    memset(bar + 1 + filled, '.', cells - filled);
    memcpy(bar + 1 + cells, "] ", 3);
    g_string_prepend(out, bar);
}

char *progress_text_bar(const ProgressState *state, size_t columns)
{
    bool known = state->total_bytes != PROGRESS_UNKNOWN;
    GString *out = g_string_new(NULL);

    if (known) {
        g_string_append_printf(out, "%3u%%  ",
                               percent(state->bytes, state->total_bytes));
    }
    append_amount(out, state);
    append_pace(out, state);
    if (!state->busy) {
        g_string_append(out, ", ");
        append_phase(out, state);
    }
    if (known) {
        prepend_bar(out, state, columns);
    }
    g_string_truncate(out, MIN(out->len, columns));
    return g_string_free(out, FALSE);
}

static void add_bytes(JsonObject *object, const char *name, uint64_t bytes)
{
    if (bytes != PROGRESS_UNKNOWN) {
        json_object_set_int_member(object, name, bytes);
    }
}

char *progress_text_json(const ProgressState *state, int exit_code,
                         const char *message)
{
    g_autoptr(JsonObject) object = json_object_new();

    cli_json_set_text(object, "program", g_get_prgname());
    cli_json_set_text(object, "phase", exit_code < 0 ? state->phase :
                                       exit_code ? "failed" : "done");
    add_bytes(object, "bytes", state->bytes);
    add_bytes(object, "total-bytes", state->total_bytes);
    add_bytes(object, "zero-bytes", state->zero_bytes);
    add_bytes(object, "buffered-bytes", state->buffered_bytes);
    json_object_set_int_member(object, "rate", state->rate);
    cli_json_set_seconds(object, "seconds", state->seconds);
    if (exit_code >= 0) {
        json_object_set_int_member(object, "exit-code", exit_code);
    }
    if (exit_code > 0) {
        cli_json_set_text(object, "error", message);
    }
    return cli_json_line(object);
}
