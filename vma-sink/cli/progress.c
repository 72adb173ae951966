/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shows the progress.
 *
 * The program reports to a few counters, and a thread shows them.  So whatever
 * the program is blocked in, a read, a write or a sync, is not interrupted for
 * that, and SIGUSR1 needs no handler: it is blocked everywhere (io/io.h), and
 * the thread takes it from a descriptor.
 *
 * The bar uses carriage return and spaces only, which any terminal understands.
 */
#include "cli/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/cli.h"

#define BAR_PERIOD_MS 100
#define JSON_PERIOD_MS 1000
#define DEFAULT_COLUMNS 80
/* The rate shown follows the real one within about so many seconds. */
#define RATE_SECONDS 3.0

typedef enum ProgressMode {
    PROGRESS_AUTO,
    PROGRESS_BAR,
    PROGRESS_JSON,
    PROGRESS_NONE,
} ProgressMode;

static const char *const mode_names[] = { "auto", "bar", "json", "none" };

/* Of the command line. */
static ProgressMode chosen_mode;

struct Progress {
    /* Set at creation, never changed. */
    ProgressMode mode;          /* not AUTO */
    const char *busy;
    int64_t start_us;
    GThread *thread;            /* NULL: there is none, so nothing is shown */
    int signal_fd;
    int stop_fd;

    /* What is reported; protected by lock, which is never held for long. */
    GMutex lock;
    uint64_t bytes;
    uint64_t zero_bytes;
    uint64_t total_bytes;
    int64_t busy_us;            /* the first report; 0: none yet */
    ProgressBufferedFunc *buffered;     /* NULL: nothing is read ahead */
    void *buffered_opaque;
    const char *phase;          /* NULL: waiting or busy */
    int64_t phase_us;           /* since when */

    /* What is shown; protected by screen, which is held while printing. */
    GMutex screen;
    int64_t sampled_us;
    uint64_t sampled_bytes;
    double rate;                /* bytes per second */
    size_t drawn_columns;       /* 0: no bar */
    int64_t hold_until_us;      /* no bar before that */
    int terminal_fd;            /* holds the lock on the terminal; -1: none */
    bool claimed;
};

gboolean progress_parse(const char *option, const char *value, gpointer data,
                        GError **error)
{
    (void)option;
    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(mode_names); i++) {
        if (strcmp(value, mode_names[i]) == 0) {
            chosen_mode = i;
            return TRUE;
        }
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "--progress is auto, bar, json or none, not '%s'", value);
    return FALSE;
}

/* What there is to show */

static int64_t age_us(int64_t now_us, int64_t since_us)
{
    return MAX(now_us - since_us, 0);
}

/* A copy of what was reported, at NOW_US. */
static ProgressState get_state(Progress *p, int64_t now_us)
{
    ProgressState state;

    g_mutex_lock(&p->lock);
    state = (ProgressState) {
        .phase = p->phase ? p->phase : p->busy_us ? p->busy : "waiting",
        .busy = !p->phase && p->busy_us,
        .phase_seconds = age_us(now_us, p->phase_us) / 1e6,
        .seconds = age_us(now_us, p->start_us) / 1e6,
        .bytes = p->bytes,
        .zero_bytes = p->zero_bytes,
        .total_bytes = p->total_bytes,
        .buffered_bytes = p->buffered ? p->buffered(p->buffered_opaque)
                                      : PROGRESS_UNKNOWN,
    };
    if (p->sampled_us == 0) {
        p->sampled_us = p->busy_us;
    }
    g_mutex_unlock(&p->lock);
    return state;
}

/* The same with the rate, which each call brings up to date. */
static ProgressState sample(Progress *p)
{
    int64_t now_us = g_get_monotonic_time();
    ProgressState state = get_state(p, now_us);
    double seconds = (now_us - p->sampled_us) / 1e6;

    if (p->sampled_us != 0 && seconds > 0) {
        double now = (state.bytes - MIN(state.bytes, p->sampled_bytes)) /
                     seconds;

        p->rate = p->rate == 0 ? now : p->rate + (now - p->rate) * seconds /
                                                 (seconds + RATE_SECONDS);
        p->sampled_us = now_us;
        p->sampled_bytes = state.bytes;
    }
    state.rate = p->rate;
    return state;
}

/* Since the first report. */
static double average_rate(const Progress *p, int64_t now_us)
{
    double seconds = age_us(now_us, p->busy_us ? p->busy_us : now_us) / 1e6;

    return p->bytes / MAX(seconds, 1e-6);
}

/* Showing it; all of these with screen held */

/*
 * Of the programs of a pipeline one draws its bar: the terminal itself is
 * locked.  When that one ends the next one takes over.
 */
static bool claim_terminal(Progress *p)
{
    if (!p->claimed && p->terminal_fd < 0 && isatty(STDERR_FILENO)) {
        p->terminal_fd = open("/proc/self/fd/2", O_RDONLY | O_NOCTTY |
                              O_NONBLOCK | O_CLOEXEC);
    }
    /* Where there is no telling it is drawn. */
    p->claimed = p->claimed || p->terminal_fd < 0 ||
                 flock(p->terminal_fd, LOCK_EX | LOCK_NB) == 0 ||
                 errno != EWOULDBLOCK;
    return p->claimed;
}

static size_t terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) {
        return DEFAULT_COLUMNS;
    }
    return size.ws_col;
}

static void clear(Progress *p)
{
    if (p->drawn_columns > 0) {
        fprintf(stderr, "\r%*s\r", (int)p->drawn_columns, "");
        fflush(stderr);
        p->drawn_columns = 0;
    }
}

static void draw(Progress *p)
{
    ProgressState state = sample(p);
    g_autofree char *text = NULL;
    size_t used;

    if (p->sampled_us == 0 || g_get_monotonic_time() < p->hold_until_us ||
        !claim_terminal(p)) {
        return;
    }
    text = progress_text_bar(&state, terminal_columns() - 1);
    used = strlen(text);
    fprintf(stderr, "\r%s%*s", text,
            (int)(MAX(p->drawn_columns, used) - used), "");
    fflush(stderr);
    p->drawn_columns = used;
}

static void print_json(Progress *p)
{
    ProgressState state = sample(p);
    g_autofree char *text = progress_text_json(&state, -1, NULL);

    fprintf(stderr, "%s\n", text);
}

/* For SIGUSR1. */
static void print_line(Progress *p)
{
    ProgressState state = sample(p);
    g_autofree char *text = progress_text_line(&state);

    clear(p);
    fprintf(stderr, "%s: %s\n", g_get_prgname(), text);
}

static void show(Progress *p, bool asked)
{
    g_mutex_lock(&p->screen);
    if (p->mode == PROGRESS_JSON) {
        print_json(p);
    } else if (asked) {
        print_line(p);
    } else if (p->mode == PROGRESS_BAR) {
        draw(p);
    }
    g_mutex_unlock(&p->screen);
}

/* The thread */

static gpointer watch(gpointer opaque)
{
    Progress *p = opaque;
    int period_ms = p->mode == PROGRESS_BAR ? BAR_PERIOD_MS :
                    p->mode == PROGRESS_JSON ? JSON_PERIOD_MS : -1;
    struct pollfd fds[] = {
        { .fd = p->stop_fd, .events = POLLIN },
        { .fd = p->signal_fd, .events = POLLIN },
    };

    for (;;) {
        struct signalfd_siginfo info;

        (void)poll(fds, G_N_ELEMENTS(fds), period_ms);
        if (fds[0].revents) {
            return NULL;
        }
        show(p, read(p->signal_fd, &info, sizeof(info)) > 0);
    }
}

/* A failure only means that nothing is shown. */
static void start_thread(Progress *p)
{
    sigset_t asked, all, old;

    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    p->signal_fd = signalfd(-1, &asked, SFD_NONBLOCK | SFD_CLOEXEC);
    p->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (p->signal_fd < 0 || p->stop_fd < 0) {
        return;
    }
    /* Those that end the program are for the thread that may be blocked. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    p->thread = g_thread_try_new("progress", watch, p, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stop_thread(Progress *p)
{
    if (p->thread) {
        eventfd_write(p->stop_fd, 1);
        g_thread_join(g_steal_pointer(&p->thread));
    }
}

/* The program's side */

Progress *progress_new(const char *busy)
{
    Progress *p = g_new0(Progress, 1);

    p->mode = chosen_mode != PROGRESS_AUTO ? chosen_mode :
              isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_NONE;
    p->busy = busy;
    p->start_us = g_get_monotonic_time();
    p->phase_us = p->start_us;
    p->total_bytes = PROGRESS_UNKNOWN;
    p->zero_bytes = PROGRESS_UNKNOWN;
    p->terminal_fd = -1;
    g_mutex_init(&p->lock);
    g_mutex_init(&p->screen);
    if (p->mode == PROGRESS_JSON) {
        show(p, false);
    }
    start_thread(p);
    return p;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void progress_free(Progress *p)
{
    if (p) {
        stop_thread(p);
        clear(p);
        close_fd(p->signal_fd);
        close_fd(p->stop_fd);
        close_fd(p->terminal_fd);
        g_mutex_clear(&p->lock);
        g_mutex_clear(&p->screen);
        g_free(p);
    }
}

void progress_update(Progress *p, uint64_t done, uint64_t zero, uint64_t total)
{
    bool first;

    g_mutex_lock(&p->lock);
    p->bytes = done;
    p->zero_bytes = zero;
    p->total_bytes = total;
    first = p->busy_us == 0;
    if (first) {
        p->busy_us = p->phase_us = g_get_monotonic_time();
    }
    g_mutex_unlock(&p->lock);
    if (first && p->mode == PROGRESS_JSON) {
        show(p, false);
    }
}

void progress_watch_buffer(Progress *p, ProgressBufferedFunc *func,
                           void *opaque)
{
    g_mutex_lock(&p->lock);
    p->buffered = func;
    p->buffered_opaque = opaque;
    g_mutex_unlock(&p->lock);
}

void progress_phase(Progress *p, const char *phase)
{
    bool changed;

    g_mutex_lock(&p->lock);
    changed = g_strcmp0(p->phase, phase) != 0;
    if (changed) {
        p->phase = phase;
        p->phase_us = g_get_monotonic_time();
    }
    g_mutex_unlock(&p->lock);
    if (changed) {
        show(p, false);
    }
}

void progress_clear(Progress *p)
{
    g_mutex_lock(&p->screen);
    clear(p);
    p->hold_until_us = g_get_monotonic_time() + BAR_PERIOD_MS * 1000;
    g_mutex_unlock(&p->screen);
}

void progress_end(Progress *p, const GError *error)
{
    int64_t now_us = g_get_monotonic_time();

    stop_thread(p);
    clear(p);
    if (p->terminal_fd >= 0 && !p->claimed) {
        /* Another program's bar stands where our last words would go. */
        fputc('\n', stderr);
    }
    if (p->mode == PROGRESS_JSON) {
        ProgressState state = get_state(p, now_us);
        g_autofree char *text = NULL;

        state.rate = average_rate(p, now_us);
        text = progress_text_json(&state, error ? cli_exit_code(error) : 0,
                                  error ? error->message : NULL);
        fprintf(stderr, "%s\n", text);
    }
}

void progress_print(const Progress *p)
{
    int64_t now_us = g_get_monotonic_time();
    double seconds = age_us(now_us, p->start_us) / 1e6;
    g_autofree char *done = cli_format_size(p->bytes);
    g_autofree char *zero = cli_format_size(
        p->zero_bytes == PROGRESS_UNKNOWN ? 0 : p->zero_bytes);
    g_autofree char *rate = cli_format_size(average_rate(p, now_us));

    fprintf(stderr, "%s: %s in %.1f s (%s/s), %s of it zeroes\n",
            g_get_prgname(), done, seconds, rate, zero);
}
