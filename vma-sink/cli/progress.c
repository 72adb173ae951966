/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The progress bar.  It uses carriage return and spaces only, which any
 * terminal understands.
 */
#include "cli/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

#define REDRAW_US (G_USEC_PER_SEC / 10)
#define DEFAULT_COLUMNS 80
#define MIN_BAR_COLUMNS 10
#define MAX_BAR_COLUMNS 40
/* The rate shown follows the real one within about so many seconds. */
#define RATE_SECONDS 3.0

struct Progress {
    /* Set at creation, never changed. */
    bool terminal;
    int64_t start_us;

    uint64_t done;
    uint64_t zero;
    uint64_t total;
    const char *phase;

    /* What is on the screen. */
    int64_t drawn_us;
    uint64_t drawn_done;
    double rate;                /* bytes per second */
    size_t drawn_columns;       /* 0: no bar */
};

Progress *progress_new(void)
{
    Progress *p = g_new0(Progress, 1);

    p->terminal = isatty(STDERR_FILENO);
    p->start_us = g_get_monotonic_time();
    p->drawn_us = p->start_us;
    return p;
}

void progress_clear(Progress *p)
{
    if (p->drawn_columns > 0) {
        fprintf(stderr, "\r%*s\r", (int)p->drawn_columns, "");
        fflush(stderr);
        p->drawn_columns = 0;
    }
}

void progress_free(Progress *p)
{
    if (p) {
        progress_clear(p);
        g_free(p);
    }
}

static size_t terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) {
        return DEFAULT_COLUMNS;
    }
    return size.ws_col;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
    return whole ? (unsigned)((double)MIN(part, whole) * 100 / whole) : 100;
}

static void append_time(GString *out, double seconds)
{
    uint64_t s = MIN(seconds, 359999);

    if (s >= 3600) {
        g_string_append_printf(out, "%u:%02u:%02u", (unsigned)(s / 3600),
                               (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    } else {
        g_string_append_printf(out, "%u:%02u", (unsigned)(s / 60),
                               (unsigned)(s % 60));
    }
}

static GString *describe(const Progress *p)
{
    g_autofree char *done = cli_format_size(p->done);
    g_autofree char *total = cli_format_size(p->total);
    g_autofree char *rate = cli_format_size(p->rate);
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "%3u%%  %s of %s, %u%% zero",
                           percent(p->done, p->total), done, total,
                           p->done ? percent(p->zero, p->done) : 0);
    if (p->phase) {
        g_string_append_printf(out, ", %s", p->phase);
    } else if (p->rate >= 1) {
        g_string_append_printf(out, ", %s/s, ", rate);
        append_time(out, (p->total - MIN(p->done, p->total)) / p->rate);
        g_string_append(out, " left");
    }
    return out;
}

static void draw(Progress *p)
{
    g_autoptr(GString) text = describe(p);
    size_t columns = terminal_columns() - 1;
    size_t used = text->len;
    size_t bar, filled;

    if (used > columns) {
        g_string_truncate(text, columns);
        used = columns;
    }
    bar = MIN(columns - used, MAX_BAR_COLUMNS + 3);
    fputc('\r', stderr);
    if (bar >= MIN_BAR_COLUMNS + 3) {
        bar -= 3;
        filled = bar * percent(p->done, p->total) / 100;
        fputc('[', stderr);
        for (size_t i = 0; i < bar; i++) {
            fputc(i < filled ? '#' : '.', stderr);
        }
        fputs("] ", stderr);
        used += bar + 3;
    }
    fprintf(stderr, "%s%*s", text->str,
            (int)(MAX(p->drawn_columns, used) - used), "");
    fflush(stderr);
    p->drawn_columns = used;
}

void progress_update(Progress *p, uint64_t done, uint64_t zero, uint64_t total)
{
    int64_t now_us;
    double seconds;

    p->done = done;
    p->zero = zero;
    p->total = total;
    if (!p->terminal) {
        return;
    }
    now_us = g_get_monotonic_time();
    if (now_us - p->drawn_us < REDRAW_US) {
        return;
    }
    seconds = (now_us - p->drawn_us) / 1e6;
    if (p->drawn_columns == 0) {
        p->rate = (done - MIN(done, p->drawn_done)) / seconds;
    } else {
        p->rate += ((done - MIN(done, p->drawn_done)) / seconds - p->rate) *
                   seconds / (seconds + RATE_SECONDS);
    }
    p->drawn_us = now_us;
    p->drawn_done = done;
    draw(p);
}

void progress_phase(Progress *p, const char *phase)
{
    if (p->phase != phase) {
        p->phase = phase;
        if (p->terminal) {
            draw(p);
        }
    }
}

void progress_finish(Progress *p)
{
    double seconds = (g_get_monotonic_time() - p->start_us) / 1e6;
    g_autofree char *done = cli_format_size(p->done);
    g_autofree char *zero = cli_format_size(p->zero);
    g_autofree char *rate = cli_format_size(p->done / MAX(seconds, 1e-6));

    progress_clear(p);
    fprintf(stderr, "%s: %s in %.1f s (%s/s), %s of it zeroes\n",
            g_get_prgname(), done, seconds, rate, zero);
}
