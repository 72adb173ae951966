/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far a program has got, in words.
 */
#include "cli/progress-text.h"

#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"

#define MIN_BAR_COLUMNS 10
#define MAX_BAR_COLUMNS 40
/* 99:59:59, the longest time that is shown. */
#define MAX_SECONDS 359999

static unsigned percent(uint64_t part, uint64_t whole)
{
    return whole ? (unsigned)((double)MIN(part, whole) * 100 / whole) : 100;
}

static void append_time(GString *out, double seconds)
{
    uint64_t s = CLAMP(seconds, 0, MAX_SECONDS);

    if (s >= 3600) {
        g_string_append_printf(out, "%u:%02u:%02u", (unsigned)(s / 3600),
                               (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    } else {
        g_string_append_printf(out, "%u:%02u", (unsigned)(s / 60),
                               (unsigned)(s % 60));
    }
}

/* What there is to say, the least important last: it goes first. */
typedef enum ProgressPart {
    SHOW_PHASE = 1 << 0,        /* in a bar: where nothing moves */
    SHOW_PERCENT = 1 << 1,
    SHOW_LEFT = 1 << 2,
    SHOW_AMOUNT = 1 << 3,
    SHOW_RATE = 1 << 4,
    SHOW_TOTAL = 1 << 5,
    SHOW_ZERO = 1 << 6,
    SHOW_BUFFERED = 1 << 7,
    SHOW_ALL = (1 << 8) - 1,
} ProgressPart;

/* Those that are known, and mean something now. */
static unsigned known_parts(const ProgressState *state)
{
    bool total = state->total_bytes != PROGRESS_UNKNOWN;
    bool rate = state->busy && state->rate >= 1;

    return SHOW_AMOUNT | (state->busy ? 0 : SHOW_PHASE) |
           (total ? SHOW_PERCENT | SHOW_TOTAL : 0) |
           (rate ? SHOW_RATE : 0) | (rate && total ? SHOW_LEFT : 0) |
           (state->zero_bytes != PROGRESS_UNKNOWN ? SHOW_ZERO : 0) |
           (state->buffered_bytes != PROGRESS_UNKNOWN ? SHOW_BUFFERED : 0);
}

/* Between parts; START is where the first one begins. */
static void append_comma(GString *out, size_t start)
{
    if (out->len > start) {
        g_string_append(out, ", ");
    }
}

static double round_up(double seconds)
{
    uint64_t whole = seconds;

    return whole + (whole < seconds);
}

/* "4.1 GiB of 10.0 GiB, 12% zero, 16.0 MiB buffered". */
static void append_amount(GString *out, size_t start,
                          const ProgressState *state, unsigned parts)
{
    g_autofree char *bytes = cli_format_size(state->bytes);
    g_autofree char *total = cli_format_size(state->total_bytes);
    g_autofree char *buffered = cli_format_size(state->buffered_bytes);

    if (parts & SHOW_AMOUNT) {
        append_comma(out, start);
        g_string_append_printf(out, "%s", bytes);
    }
    if (parts & SHOW_TOTAL) {
        g_string_append_printf(out, " of %s", total);
    }
    if (parts & SHOW_ZERO) {
        append_comma(out, start);
        g_string_append_printf(out, "%u%% zero",
                    state->bytes ? percent(state->zero_bytes, state->bytes)
                                 : 0);
    }
    if (parts & SHOW_BUFFERED) {
        append_comma(out, start);
        g_string_append_printf(out, "%s buffered", buffered);
    }
}

/* "210 MiB/s, 0:28 left"; only at the end nothing is left. */
static void append_pace(GString *out, size_t start, const ProgressState *state,
                        unsigned parts)
{
    g_autofree char *rate = cli_format_size(state->rate);

    if (parts & SHOW_RATE) {
        append_comma(out, start);
        g_string_append_printf(out, "%s/s", rate);
    }
    if (parts & SHOW_LEFT) {
        uint64_t left = state->total_bytes -
                        MIN(state->bytes, state->total_bytes);

        append_comma(out, start);
        append_time(out, round_up(MIN(left / state->rate, MAX_SECONDS)));
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
    unsigned parts = known_parts(state);
    GString *out = g_string_new(NULL);
    size_t start;

    append_phase(out, state);
    g_string_append(out, ": ");
    start = out->len;
    if (parts & SHOW_PERCENT) {
        append_comma(out, start);
        g_string_append_printf(out, "%u%%",
                    percent(state->bytes, state->total_bytes));
    }
    append_amount(out, start, state, parts);
    append_pace(out, start, state, parts);
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

/* The text beside the bar, of these parts. */
static GString *bar_text(const ProgressState *state, unsigned parts)
{
    GString *out = g_string_new(NULL);
    size_t start;

    if (parts & SHOW_PERCENT) {
        g_string_append_printf(out, "%3u%%  ",
                               percent(state->bytes, state->total_bytes));
    }
    start = out->len;
    append_amount(out, start, state, parts);
    append_pace(out, start, state, parts);
    if (parts & SHOW_PHASE) {
        append_comma(out, start);
        append_phase(out, state);
    }
    return out;
}

char *progress_text_bar(const ProgressState *state, size_t columns)
{
    unsigned parts = known_parts(state);
    unsigned drop = SHOW_ALL + 1;
    GString *out = bar_text(state, parts);

    /* One is kept, and what is longer still is cut. */
    while (out->len > columns && (parts & (parts - 1))) {
        drop >>= 1;
        parts &= ~drop;
        g_string_free(out, TRUE);
        out = bar_text(state, parts);
    }
    if (parts & SHOW_PERCENT) {
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
