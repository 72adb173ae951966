/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole reads and writes, and how a signal gets a blocked program out of them.
 */
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "backup/error.h"

/* Most that the kernel moves in one call; larger requests are cut to it. */
#define MAX_TRANSFER_BYTES ((size_t)1 << 30)
#define PIPE_BYTES (1 << 20)
#define SEND_AGAIN_MS 1000

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
/* Left alone, but where signals are to be outlived; all but the first stop. */
static const int rough_signals[] = { SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

/* Those that are ours, and those that have come: a bit (1 << NUMBER) each. */
static unsigned handled_signals;
static volatile sig_atomic_t seen_signals;
static _Atomic int caught_signal;        /* other threads ask for it, too */

static unsigned write_timeout_s;        /* 0: none */
static timer_t write_timer;             /* where there is one */

/*
 * A signal that arrives just before a blocking call would be lost on it, so
 * the handler has SIGALRM interrupt the process ten times a second from then
 * on; its handler does nothing.  Both are installed without SA_RESTART.
 */
static void on_alarm(int signum)
{
    (void)signum;
}

static void on_signal(int signum)
{
    const struct itimerval again = {
        .it_interval = { .tv_usec = 100000 },
        .it_value = { .tv_usec = 100000 },
    };

    caught_signal = signum;
    seen_signals |= 1 << signum;
    setitimer(ITIMER_REAL, &again, NULL);
}

static void outlive_rough_signals(bool outlive)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rough_signals); i++) {
        int signum = rough_signals[i];
        struct sigaction action = { .sa_handler = SIG_DFL };

        if (outlive) {
            action.sa_handler = signum == SIGQUIT ? on_signal : SIG_IGN;
        }
        if (handled_signals & (1u << signum)) {
            sigaction(signum, &action, NULL);
        }
    }
}

void io_outlive_signals(bool outlive)
{
    struct sigaction action = { 0 };
    sigset_t all, old;

    sigemptyset(&all);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        sigaddset(&all, signals[i]);
    }
    action.sa_mask = all;
    /* None may come between the question whether it came and the answer. */
    sigprocmask(SIG_BLOCK, &all, &old);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        unsigned bit = 1u << signals[i];
        /* A terminal that goes away may say so twice: shell and kernel do. */
        bool once = !outlive && signals[i] != SIGHUP;

        action.sa_flags = once ? SA_RESETHAND : 0;
        action.sa_handler = once && (seen_signals & bit) ? SIG_DFL : on_signal;
        if (handled_signals & bit) {
            sigaction(signals[i], &action, NULL);
        }
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    outlive_rough_signals(outlive);
}

/* nohup and the like keep their say. */
static void handle_unless_ignored(int signum)
{
    struct sigaction old;

    sigaction(signum, NULL, &old);
    if (old.sa_handler != SIG_IGN) {
        handled_signals |= 1u << signum;
    }
}

void io_catch_signals(void)
{
    const struct sigaction action = { .sa_handler = on_alarm };
    sigset_t asked;

    sigaction(SIGALRM, &action, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        handle_unless_ignored(signals[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(rough_signals); i++) {
        handle_unless_ignored(rough_signals[i]);
    }
    io_outlive_signals(false);
    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &asked, NULL);
    /* Both have an error of their own, EPIPE and EFBIG. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    /* Ignored, as some parents leave it, it would drop the children's codes. */
    signal(SIGCHLD, SIG_DFL);
}

void io_release_signals(void)
{
    sigset_t asked;

    /* Handlers end with exec() by themselves; the rest does not. */
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_DFL);
    sigemptyset(&asked);
    sigaddset(&asked, SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &asked, NULL);
}

bool io_interrupted(GError **error)
{
    if (!caught_signal) {
        return false;
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "interrupted by SIG%s", sigabbrev_np(caught_signal));
    return true;
}

void io_clear_interrupt(void)
{
    static const struct itimerval never;

    setitimer(ITIMER_REAL, &never, NULL);
    caught_signal = 0;
}

/* Drops BYTES bytes from the front of an iovec. */
static void iov_discard(struct iovec **iov, int *count, size_t bytes)
{
    while (bytes > 0) {
        size_t n = MIN(bytes, (*iov)->iov_len);

        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
        bytes -= n;
        if ((*iov)->iov_len == 0) {
            (*iov)++;
            (*count)--;
        }
    }
    while (*count > 0 && (*iov)->iov_len == 0) {
        (*iov)++;
        (*count)--;
    }
}

/*
 * What a failed transfer means: true to try again.  A descriptor that somebody
 * else has made non-blocking (it is shared with them) is waited for.
 */
static bool retry(int fd, short events, GError **error)
{
    int errnum = errno;

    if (io_interrupted(error)) {
        return false;
    }
    if (errnum == EINTR) {
        return true;
    }
    if (errnum == EAGAIN || errnum == EWOULDBLOCK) {
        struct pollfd pfd = { .fd = fd, .events = events };

        poll(&pfd, 1, -1);
        return true;
    }
    /* A socket whose reader has left something unread says the second. */
    if (events == POLLOUT && (errnum == EPIPE || errnum == ECONNRESET)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the reader has ended, see its message");
    } else {
        g_autofree char *reason = backup_strerror(errnum);

        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s", reason);
    }
    return false;
}

bool io_readv_some(int fd, struct iovec *iov, int count, size_t *got,
                   GError **error)
{
    *got = 0;
    do {
        ssize_t n;

        if (io_interrupted(error)) {
            return false;
        }
        n = readv(fd, iov, count);
        if (n >= 0) {
            *got = n;
            return true;
        }
    } while (retry(fd, POLLIN, error));
    return false;
}

bool io_read(int fd, void *buffer, size_t bytes, size_t *got, GError **error)
{
    *got = 0;
    while (*got < bytes) {
        struct iovec iov = {
            .iov_base = (char *)buffer + *got,
            .iov_len = MIN(bytes - *got, MAX_TRANSFER_BYTES),
        };
        size_t n;

        if (!io_readv_some(fd, &iov, 1, &n, error)) {
            return false;
        }
        if (n == 0) {
            break;
        }
        *got += n;
    }
    return true;
}

bool io_read_or_stop(int fd, int stop_fd, void *buffer, size_t bytes,
                     size_t *got, GError **error)
{
    struct pollfd fds[] = {
        { .fd = fd, .events = POLLIN },
        { .fd = stop_fd, .events = POLLIN },
    };
    ssize_t n;

    *got = 0;
    do {
        n = poll(fds, G_N_ELEMENTS(fds), -1);
        if (n > 0 && fds[1].revents) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "stopped");
            return false;
        }
        if (n > 0) {
            n = read(fd, buffer, MIN(bytes, MAX_TRANSFER_BYTES));
        }
    } while (n < 0 && (errno == EINTR || errno == EAGAIN ||
                       errno == EWOULDBLOCK));
    if (n < 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s",
                    g_strerror(errno));
        return false;
    }
    *got = n;
    return true;
}

bool io_wait_readable(int fd, int stop_fd, unsigned seconds, GError **error)
{
    int64_t until_us = g_get_monotonic_time() +
                       (int64_t)seconds * G_USEC_PER_SEC;
    struct pollfd fds[] = {
        { .fd = fd, .events = POLLIN },
        { .fd = stop_fd, .events = POLLIN },
    };

    for (;;) {
        int64_t left_us = until_us - g_get_monotonic_time();

        if (stop_fd < 0 && io_interrupted(error)) {
            return false;
        }
        if (poll(fds, G_N_ELEMENTS(fds),
                 CLAMP((left_us + 999) / 1000, 0, INT_MAX)) > 0) {
            return true;
        }
        if (left_us <= 0) {
            backup_error_set_incomplete(error, "nothing has come for %u "
                                        "seconds", seconds);
            return false;
        }
    }
}

bool io_set_write_timeout(unsigned seconds, GError **error)
{
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL,
        .sigev_signo = SIGALRM,
    };

    if (seconds > 0 && timer_create(CLOCK_MONOTONIC, &event,
                                    &write_timer) < 0) {
        backup_error_set_errno(error, errno, "cannot create a timer");
        return false;
    }
    write_timeout_s = seconds;
    return true;
}

/*
 * While it runs, SIGALRM gets a blocked write back once a second.  This timer is
 * not the one of on_signal().
 */
static void run_write_timer(bool run)
{
    const struct itimerspec spec = {
        .it_interval = { .tv_sec = run },
        .it_value = { .tv_sec = run },
    };

    if (write_timeout_s > 0) {
        timer_settime(write_timer, 0, &spec, NULL);
    }
}

/* Whether it may be tried again; the last byte was taken at SINCE_US. */
static bool may_write(int64_t since_us, GError **error)
{
    if (io_interrupted(error)) {
        return false;
    }
    if (write_timeout_s > 0 && g_get_monotonic_time() - since_us >
                               write_timeout_s * G_USEC_PER_SEC) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the reader did not take anything within %u seconds",
                    write_timeout_s);
        return false;
    }
    return true;
}

static bool write_all(int fd, struct iovec *iov, int count, GError **error)
{
    int64_t since_us = g_get_monotonic_time();

    iov_discard(&iov, &count, 0);
    while (count > 0) {
        ssize_t n;

        if (!may_write(since_us, error)) {
            return false;
        }
        n = writev(fd, iov, count);
        if (n >= 0) {
            iov_discard(&iov, &count, n);
            since_us = g_get_monotonic_time();
        } else if (!retry(fd, POLLOUT, error)) {
            return false;
        }
    }
    return true;
}

bool io_writev(int fd, struct iovec *iov, int count, GError **error)
{
    bool ok;

    run_write_timer(true);
    ok = write_all(fd, iov, count, error);
    run_write_timer(false);
    return ok;
}

/*
 * An error that is told to who reads is not told again, so it is taken as ours.
 * One whose other side has only shut down its reading does not end a poll.
 */
bool io_send(int fd, struct iovec *iov, int count, GError **error)
{
    int64_t since_us = g_get_monotonic_time();

    iov_discard(&iov, &count, 0);
    while (count > 0) {
        const struct msghdr message = { .msg_iov = iov, .msg_iovlen = count };
        struct pollfd pfd = { .fd = fd, .events = POLLOUT };
        ssize_t heard, n = -1;
        char byte;

        if (!may_write(since_us, error)) {
            return false;
        }
        heard = recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
        if (heard > 0) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "the reader has sent something back too early");
            return false;
        }
        if (heard < 0) {
            pfd.events |= POLLIN;
        }
        if (heard == 0 || errno == EAGAIN) {
            n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        if (n >= 0) {
            iov_discard(&iov, &count, n);
            since_us = g_get_monotonic_time();
        } else if (errno == EAGAIN) {
            poll(&pfd, 1, SEND_AGAIN_MS);
        } else if (!retry(fd, POLLOUT, error)) {
            return false;
        }
    }
    return true;
}

bool io_write(int fd, const void *buffer, size_t bytes, GError **error)
{
    struct iovec iov = { .iov_base = (void *)buffer, .iov_len = bytes };

    return io_writev(fd, &iov, 1, error);
}

bool io_pwrite(int fd, const void *buffer, size_t bytes, uint64_t offset,
               GError **error)
{
    while (bytes > 0) {
        ssize_t n;

        if (io_interrupted(error)) {
            return false;
        }
        n = pwrite(fd, buffer, MIN(bytes, MAX_TRANSFER_BYTES), offset);
        if (n >= 0) {
            buffer = (const char *)buffer + n;
            offset += n;
            bytes -= n;
        } else if (!retry(fd, POLLOUT, error)) {
            return false;
        }
    }
    return true;
}

bool io_pread(int fd, void *buffer, size_t bytes, uint64_t offset, size_t *got,
              GError **error)
{
    *got = 0;
    while (*got < bytes) {
        ssize_t n;

        if (io_interrupted(error)) {
            return false;
        }
        n = pread(fd, (char *)buffer + *got,
                  MIN(bytes - *got, MAX_TRANSFER_BYTES), offset + *got);
        if (n == 0) {
            break;
        } else if (n > 0) {
            *got += n;
        } else if (!retry(fd, POLLIN, error)) {
            return false;
        }
    }
    return true;
}

bool io_wait_writable(int fd, int milliseconds)
{
    struct pollfd pfd = { .fd = fd, .events = POLLOUT };

    return poll(&pfd, 1, milliseconds) == 1 && (pfd.revents & POLLOUT);
}

void io_enlarge_pipe(int fd)
{
    int now = fcntl(fd, F_GETPIPE_SZ);

    if (now > 0 && now < PIPE_BYTES) {
        /* Only an optimisation: a refusal changes nothing. */
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
    }
}

/* Without a name from the start, or where there is no such thing, at once. */
int io_open_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR ||
                   errno == EINVAL)) {
        g_autofree char *path = g_build_filename(folder, "vma.XXXXXX", NULL);

        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0 && unlink(path) < 0) {
            int errnum = errno;

            close(fd);
            errno = errnum;
            return -1;
        }
    }
    return fd;
}
