/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shows the progress.
 *
 * The program reports to a few counters, and a thread shows them.  So whatever
 * the program is blocked in, a read, a write or a sync, is not interrupted for
 * that, and SIGUSR1 needs no handler: it is blocked everywhere (io/io.h), and
 * the thread takes it from a descriptor.
 *
 * Only the thread writes, and never with the lock held: where standard error
 * takes no more it is the thread that hangs, for as long as it likes, and a
 * backup goes on to its end.  What must be shown in order, such as a change of
 * the phase, is a line in a queue.  To print something itself, or to end, the
 * program waits for the thread for a second; then the thread is left alone, and
 * owns a share of all this as long as it lives.
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
/* How long a standard error that takes no more holds up the program. */
#define PATIENCE_US G_USEC_PER_SEC
/* A message of another program that is longer is shown in pieces. */
#define MAX_MESSAGE_BYTES 4096u
/* Linux' default. */
#define PIPE_BYTES 65536u
/* More are not kept: a phase lasts longer than it takes to write a line. */
#define MAX_LINES 16u
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
    int wake_fd;
    int messages_fd;            /* of another program; -1: there is no bar */

    /* The program's. */
    int messages_end_fd;        /* until it is taken */

    /* The thread's. */
    GString *messages;          /* read and not yet shown */

    /* Protected by lock, which is never held for long. */
    GMutex lock;
    GCond written;              /* writing has become false */

    /* What is reported. */
    uint64_t bytes;
    uint64_t zero_bytes;
    uint64_t total_bytes;
    int64_t busy_us;            /* the first report; 0: none yet */
    ProgressBufferedFunc *buffered;     /* NULL: nothing is read ahead */
    void *buffered_opaque;
    const char *phase;          /* NULL: waiting or busy */
    int64_t phase_us;           /* since when */

    GQueue lines;               /* to be written before anything else */
    bool ending;                /* what is there is written, then no more */

    /* What is shown. */
    bool writing;               /* the thread is, or is about to */
    bool stuck;                 /* it was waited for in vain */
    bool ended;                 /* it writes nothing any more */
    int64_t sampled_us;
    uint64_t sampled_bytes;
    double rate;                /* bytes per second */
    size_t drawn_columns;       /* 0: no bar */
    bool clear_shared;          /* another program's bar, for a message */
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

/* What there is to show; all of these with lock held */

static int64_t age_us(int64_t now_us, int64_t since_us)
{
    return MAX(now_us - since_us, 0);
}

/* A copy of what was reported, at NOW_US. */
static ProgressState get_state(const Progress *p, int64_t now_us)
{
    return (ProgressState) {
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
}

/* The same with the rate, which each call brings up to date. */
static ProgressState sample(Progress *p)
{
    int64_t now_us = g_get_monotonic_time();
    ProgressState state = get_state(p, now_us);
    double seconds;

    if (p->sampled_us == 0) {
        p->sampled_us = p->busy_us;
    }
    seconds = (now_us - p->sampled_us) / 1e6;
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

/* As text; all of these with lock held */

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

/* The widest bar: in the last column some terminals begin a new line. */
static size_t bar_columns(void)
{
    return terminal_columns() - 1;
}

/* The terminal may have become narrower since. */
static void append_clear(Progress *p, GString *out)
{
    if (p->drawn_columns > 0) {
        g_string_append_printf(out, "\r%*s\r",
                               (int)MIN(p->drawn_columns, bar_columns()), "");
        p->drawn_columns = 0;
    }
}

/* A terminal on which another program draws its bar. */
static bool is_shared(const Progress *p)
{
    return p->terminal_fd >= 0 && !p->claimed;
}

static void append_clear_shared(GString *out)
{
    g_string_append_printf(out, "\r%*s\r", (int)bar_columns(), "");
}

static void append_bar(Progress *p, GString *out)
{
    ProgressState state = sample(p);
    size_t columns = bar_columns();
    g_autofree char *text = NULL;
    size_t used;

    if (p->sampled_us == 0 || !claim_terminal(p)) {
        return;
    }
    text = progress_text_bar(&state, columns);
    used = strlen(text);
    g_string_append_printf(out, "\r%s%*s", text,
                           (int)(CLAMP(p->drawn_columns, used, columns) - used),
                           "");
    p->drawn_columns = used;
}

static void append_json(Progress *p, GString *out)
{
    ProgressState state = sample(p);
    g_autofree char *text = progress_text_json(&state, -1, NULL);

    g_string_append_printf(out, "%s\n", text);
}

/* For SIGUSR1. */
static void append_line(Progress *p, GString *out)
{
    ProgressState state = sample(p);
    g_autofree char *text = progress_text_line(&state);

    append_clear(p, out);
    g_string_append_printf(out, "%s: %s\n", g_get_prgname(), text);
}

/* DUE: the time has come for another line of JSON. */
static void append_progress(Progress *p, GString *out, bool asked, bool due)
{
    if (p->mode == PROGRESS_JSON) {
        if (asked || due) {
            append_json(p, out);
        }
    } else if (asked) {
        append_line(p, out);
    } else if (p->mode == PROGRESS_BAR &&
               g_get_monotonic_time() < p->hold_until_us) {
        append_clear(p, out);
    } else if (p->mode == PROGRESS_BAR) {
        append_bar(p, out);
    }
}

/* The thread */

/* May take for ever.  What can't be written is lost. */
static void write_text(const GString *text)
{
    struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
    size_t done = 0;

    while (done < text->len) {
        ssize_t n = write(STDERR_FILENO, text->str + done, text->len - done);

        if (n >= 0) {
            done += n;
        } else if (errno == EAGAIN) {
            (void)poll(&fd, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void append_queued(Progress *p, GString *out)
{
    char *line;

    while ((line = g_queue_pop_head(&p->lines))) {
        g_string_append(out, line);
        g_free(line);
    }
}

/*
 * What is there now, as far as it is what a pipe holds; false: nothing will come
 * any more.
 */
static bool read_messages(Progress *p)
{
    char text[MAX_MESSAGE_BYTES];
    ssize_t n = 1;

    for (unsigned i = 0; i < PIPE_BYTES / sizeof(text) && n > 0; i++) {
        n = read(p->messages_fd, text, sizeof(text));
        if (n > 0) {
            g_string_append_len(p->messages, text, n);
        }
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* Whole lines; at the END all there is, which is a line then. */
static void append_messages(Progress *p, GString *out, bool end)
{
    GString *text = p->messages;
    const char *newline = g_strrstr_len(text->str, text->len, "\n");
    size_t length = newline ? (size_t)(newline + 1 - text->str) : 0;

    if (end || text->len - length > MAX_MESSAGE_BYTES) {
        length = text->len;
    }
    if (length == 0) {
        return;
    }
    append_clear(p, out);
    if (is_shared(p)) {
        append_clear_shared(out);
    }
    g_string_append_len(out, text->str, length);
    if (text->str[length - 1] != '\n') {
        g_string_append_c(out, '\n');
    }
    g_string_erase(text, 0, length);
}

/* Writes what there is; false: that was the end. */
static bool show(Progress *p, bool asked, bool due)
{
    g_autoptr(GString) out = g_string_new(NULL);
    bool ending;

    g_mutex_lock(&p->lock);
    ending = p->ending;
    if (ending) {
        append_clear(p, out);
    } else if (p->clear_shared) {
        append_clear_shared(out);
    }
    p->clear_shared = false;
    append_messages(p, out, ending);
    append_queued(p, out);
    if (!ending) {
        append_progress(p, out, asked, due);
    }
    p->writing = true;
    g_mutex_unlock(&p->lock);

    write_text(out);

    g_mutex_lock(&p->lock);
    p->writing = false;
    p->stuck = false;
    p->ended = ending;
    g_cond_broadcast(&p->written);
    g_mutex_unlock(&p->lock);
    return !ending;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void destroy(gpointer opaque)
{
    Progress *p = opaque;

    close_fd(p->signal_fd);
    close_fd(p->wake_fd);
    close_fd(p->terminal_fd);
    close_fd(p->messages_fd);
    close_fd(p->messages_end_fd);
    g_string_free(p->messages, TRUE);
    g_queue_clear_full(&p->lines, g_free);
    g_mutex_clear(&p->lock);
    g_cond_clear(&p->written);
}

static gpointer watch(gpointer opaque)
{
    Progress *p = opaque;
    int period_ms = p->mode == PROGRESS_BAR ? BAR_PERIOD_MS :
                    p->mode == PROGRESS_JSON ? JSON_PERIOD_MS : -1;
    struct pollfd fds[] = {
        { .fd = p->wake_fd, .events = POLLIN },
        { .fd = p->signal_fd, .events = POLLIN },
        { .fd = p->messages_fd, .events = POLLIN },
    };
    bool asked, due;

    do {
        struct signalfd_siginfo info;
        eventfd_t count;

        due = poll(fds, G_N_ELEMENTS(fds), period_ms) == 0;
        (void)eventfd_read(p->wake_fd, &count);
        asked = read(p->signal_fd, &info, sizeof(info)) > 0;
        if (fds[2].fd >= 0 && !read_messages(p)) {
            fds[2].fd = -1;
        }
    } while (show(p, asked, due));
    g_atomic_rc_box_release_full(p, destroy);
    return NULL;
}

/* A failure only means that they may stand behind the bar. */
static void open_messages(Progress *p)
{
    int fds[2];

    p->messages_fd = p->messages_end_fd = -1;
    p->messages = g_string_new(NULL);
    if (p->mode != PROGRESS_BAR || pipe2(fds, O_CLOEXEC) < 0) {
        return;
    }
    p->messages_fd = fds[0];
    p->messages_end_fd = fds[1];
    (void)fcntl(p->messages_fd, F_SETFL, O_NONBLOCK);
}

/* A failure only means that nothing is shown. */
static void start_thread(Progress *p)
{
    sigset_t asked, all, old;

    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    p->signal_fd = signalfd(-1, &asked, SFD_NONBLOCK | SFD_CLOEXEC);
    p->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->signal_fd < 0 || p->wake_fd < 0) {
        return;
    }
    /* Those that end the program are for the thread that may be blocked. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    p->thread = g_thread_try_new("progress", watch, g_atomic_rc_box_acquire(p),
                                 NULL);
    if (!p->thread) {
        g_atomic_rc_box_release(p);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* The program's side; these with lock held */

static void wake(const Progress *p)
{
    if (p->thread) {
        (void)eventfd_write(p->wake_fd, 1);
    }
}

/* Takes the text. */
static void queue_line(Progress *p, char *text)
{
    if (p->thread && p->lines.length < MAX_LINES) {
        g_queue_push_tail(&p->lines, text);
        wake(p);
    } else {
        g_free(text);
    }
}

static void queue_json(Progress *p)
{
    GString *line = g_string_new(NULL);

    append_json(p, line);
    queue_line(p, g_string_free(line, FALSE));
}

typedef bool WrittenFunc(const Progress *p);

static bool nothing_left(const Progress *p)
{
    return !p->writing && p->drawn_columns == 0 && !p->clear_shared &&
           p->lines.length == 0;
}

static bool has_ended(const Progress *p)
{
    return p->ended;
}

/* For a second, once: who takes no more now takes no more then. */
static void wait_written(Progress *p, WrittenFunc *enough)
{
    int64_t until_us = g_get_monotonic_time() + PATIENCE_US;

    while (p->thread && !p->stuck && !enough(p)) {
        p->stuck = !g_cond_wait_until(&p->written, &p->lock, until_us) &&
                   !enough(p);
    }
}

/* A machine that reads nothing any more still waits for the exit code. */
static void drop_messages(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null >= 0) {
        (void)dup2(null, STDERR_FILENO);
        close(null);
    }
}

/*
 * The last words take the place of another program's bar, which goes on below
 * them: the line is cleared by the same write that has the words, because in
 * between the bar could be drawn once more.
 */
static void clear_before_last_words(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    append_clear_shared(text);
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    fputs(text->str, stderr);
}

/* LAST is shown after all else; NULL: nothing is. */
static void stop_thread(Progress *p, char *last)
{
    bool ended;

    if (!p->thread) {
        g_free(last);
        return;
    }
    g_mutex_lock(&p->lock);
    if (last) {
        /* Whatever is lost, it is not this one. */
        g_queue_push_tail(&p->lines, last);
    }
    p->ending = true;
    wake(p);
    wait_written(p, has_ended);
    ended = p->ended;
    g_mutex_unlock(&p->lock);
    if (ended) {
        g_thread_join(g_steal_pointer(&p->thread));
        if (is_shared(p)) {
            clear_before_last_words();
        }
    } else {
        g_thread_unref(g_steal_pointer(&p->thread));
        if (p->mode == PROGRESS_JSON) {
            drop_messages();
        }
    }
}

/* A terminal, that is not known to be unable to write over a line. */
static bool can_draw(void)
{
    return isatty(STDERR_FILENO) &&
           g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

Progress *progress_new(const char *busy)
{
    Progress *p = g_atomic_rc_box_new0(Progress);

    p->mode = chosen_mode != PROGRESS_AUTO ? chosen_mode :
              can_draw() ? PROGRESS_BAR : PROGRESS_NONE;
    p->busy = busy;
    p->start_us = g_get_monotonic_time();
    p->phase_us = p->start_us;
    p->total_bytes = PROGRESS_UNKNOWN;
    p->zero_bytes = PROGRESS_UNKNOWN;
    p->terminal_fd = -1;
    g_mutex_init(&p->lock);
    g_cond_init(&p->written);
    g_queue_init(&p->lines);
    open_messages(p);
    start_thread(p);
    if (p->mode == PROGRESS_JSON) {
        g_mutex_lock(&p->lock);
        queue_json(p);
        g_mutex_unlock(&p->lock);
    }
    return p;
}

void progress_free(Progress *p)
{
    if (p) {
        stop_thread(p, NULL);
        g_atomic_rc_box_release_full(p, destroy);
    }
}

void progress_update(Progress *p, uint64_t done, uint64_t zero, uint64_t total)
{
    g_mutex_lock(&p->lock);
    p->bytes = done;
    p->zero_bytes = zero;
    p->total_bytes = total;
    if (p->busy_us == 0) {
        p->busy_us = p->phase_us = g_get_monotonic_time();
        if (p->mode == PROGRESS_JSON) {
            queue_json(p);
        }
    }
    g_mutex_unlock(&p->lock);
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
    g_mutex_lock(&p->lock);
    if (g_strcmp0(p->phase, phase) != 0) {
        p->phase = phase;
        p->phase_us = g_get_monotonic_time();
        if (p->mode == PROGRESS_JSON) {
            queue_json(p);
        }
        wake(p);
    }
    g_mutex_unlock(&p->lock);
}

void progress_clear(Progress *p)
{
    g_mutex_lock(&p->lock);
    p->hold_until_us = g_get_monotonic_time() + BAR_PERIOD_MS * 1000;
    p->clear_shared = p->thread && is_shared(p);
    if (!nothing_left(p)) {
        wake(p);
        wait_written(p, nothing_left);
    }
    g_mutex_unlock(&p->lock);
}

int progress_take_messages_fd(Progress *p)
{
    int fd = p->thread ? p->messages_end_fd : -1;

    if (fd >= 0) {
        p->messages_end_fd = -1;
    }
    return fd;
}

/* Of the end. */
static char *last_line(Progress *p, const GError *error)
{
    int64_t now_us = g_get_monotonic_time();
    g_autofree char *text = NULL;
    ProgressState state;

    g_mutex_lock(&p->lock);
    state = get_state(p, now_us);
    state.rate = average_rate(p, now_us);
    g_mutex_unlock(&p->lock);
    text = progress_text_json(&state, error ? cli_exit_code(error) : 0,
                              error ? error->message : NULL);
    return g_strdup_printf("%s\n", text);
}

void progress_end(Progress *p, const GError *error)
{
    stop_thread(p, p->mode == PROGRESS_JSON ? last_line(p, error) : NULL);
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
