/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading ahead: every byte comes out in order, whoever is faster; no more is
 * read than there is room for; an error comes after the bytes before it; and
 * nothing is waited for that does not come.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "io/read-ahead.h"
#include "util.h"

#define PIECE 512u

/* What the ring is made of: pieces in memory and in a file. */
typedef struct Shape {
    const char *name;
    unsigned pieces;
    unsigned spooled;           /* 0: no file */
} Shape;

static const Shape shapes[] = {
    { "two-pieces", 2, 0 },
    { "memory", 7, 0 },
    { "spool-of-one", 3, 1 },
    { "small-spool", 3, 5 },
    { "spool", 5, 40 },
};

/* One of the pieces in memory is for reading back. */
static size_t capacity(const Shape *shape)
{
    return (shape->pieces + shape->spooled - (shape->spooled > 0)) * PIECE;
}

static IoReadAhead *start_with(int fd, const Shape *shape, size_t piece_bytes)
{
    const IoReadAheadOptions options = {
        .piece_bytes = piece_bytes,
        .pieces = shape->pieces,
        .spool_folder = shape->spooled ? g_get_tmp_dir() : NULL,
        .spool_bytes = (uint64_t)shape->spooled * piece_bytes,
    };
    g_autoptr(GError) error = NULL;
    IoReadAhead *ahead = io_read_ahead_new(fd, &options, &error);

    g_assert_no_error(error);
    io_read_ahead_start(ahead, &error);
    g_assert_no_error(error);
    return ahead;
}

static IoReadAhead *start(int fd, const Shape *shape)
{
    return start_with(fd, shape, PIECE);
}

/* Until so much is there, and never more; it must get there by itself. */
static void await(IoReadAhead *ahead, size_t bytes)
{
    while (io_read_ahead_bytes(ahead) < bytes) {
        g_usleep(100);
    }
    g_assert_cmpuint(io_read_ahead_bytes(ahead), ==, bytes);
}

static uint8_t *stream_of(size_t bytes)
{
    uint8_t *data = g_malloc(bytes + 1);

    fill_pattern(data, bytes, bytes);
    return data;
}

/* Takes up to BYTES bytes, into two buffers; those of the stream at OFFSET. */
static size_t take(IoReadAhead *ahead, const uint8_t *stream, size_t offset,
                   size_t bytes)
{
    g_autofree uint8_t *buffer = g_malloc(bytes + 1);
    size_t first = g_test_rand_int_range(0, bytes + 1);
    struct iovec iov[2] = {
        { .iov_base = buffer, .iov_len = first },
        { .iov_base = buffer + first, .iov_len = bytes - first },
    };
    g_autoptr(GError) error = NULL;
    size_t got;

    io_read_ahead_readv(ahead, iov, 2, &got, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(got, <=, bytes);
    g_assert_cmpmem(buffer, got, stream + offset, got);
    return got;
}

static void take_all(IoReadAhead *ahead, const uint8_t *stream, size_t from,
                     size_t to)
{
    while (from < to) {
        size_t part = g_test_rand_int_range(1, 1500);
        size_t got = take(ahead, stream, from, MIN(to - from, part));

        g_assert_cmpuint(got, >, 0);
        from += got;
    }
}

static void assert_end(IoReadAhead *ahead)
{
    g_assert_cmpuint(take(ahead, NULL, 0, 1), ==, 0);
    g_assert_cmpuint(take(ahead, NULL, 0, 1), ==, 0);
}

static size_t left_in_pipe(int fd)
{
    int bytes;

    g_assert_cmpint(ioctl(fd, FIONREAD, &bytes), ==, 0);
    return bytes;
}

/* The input ends around each place where something changes. */
static void test_sizes(gconstpointer data)
{
    const Shape *shape = data;

    for (size_t pieces = 0; pieces * PIECE <= capacity(shape); pieces++) {
        for (int more = -1; more <= 1; more++) {
            size_t bytes = pieces * PIECE + more;
            g_autofree uint8_t *stream = NULL;
            g_autoptr(IoReadAhead) ahead = NULL;
            int fd;

            if (pieces == 0 && more < 0) {
                continue;
            }
            stream = stream_of(bytes);
            fd = fd_of_bytes(stream, bytes);
            ahead = start(fd, shape);
            await(ahead, MIN(bytes, capacity(shape)));
            take_all(ahead, stream, 0, bytes);
            assert_end(ahead);
            close(fd);
        }
    }
}

/* Nobody takes: it reads as much as there is room for, and leaves the rest. */
static void test_capacity(gconstpointer data)
{
    const Shape *shape = data;
    size_t bytes = capacity(shape) + 2 * PIECE;
    g_autofree uint8_t *stream = stream_of(bytes);
    g_autoptr(IoReadAhead) ahead = NULL;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    g_assert_true(io_write(fds[1], stream, bytes, NULL));
    ahead = start(fds[0], shape);
    await(ahead, capacity(shape));
    g_assert_cmpuint(left_in_pipe(fds[0]), ==, 2 * PIECE);
    /* A part of a piece makes no room, all of it does. */
    take_all(ahead, stream, 0, PIECE - 1);
    await(ahead, capacity(shape) - PIECE + 1);
    g_assert_cmpuint(left_in_pipe(fds[0]), ==, 2 * PIECE);
    take_all(ahead, stream, PIECE - 1, PIECE);
    await(ahead, capacity(shape));
    g_assert_cmpuint(left_in_pipe(fds[0]), ==, PIECE);
    take_all(ahead, stream, PIECE, bytes);
    close(fds[1]);
    assert_end(ahead);
    close(fds[0]);
}

/* What has come can be taken, although more may follow. */
static void test_byte_by_byte(gconstpointer data)
{
    const Shape *shape = data;
    size_t bytes = 3 * PIECE + 1;
    g_autofree uint8_t *stream = stream_of(bytes);
    g_autoptr(IoReadAhead) ahead = NULL;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    ahead = start(fds[0], shape);
    for (size_t i = 0; i < bytes; i++) {
        g_assert_true(io_write(fds[1], stream + i, 1, NULL));
        g_assert_cmpuint(take(ahead, stream, i, 100), ==, 1);
    }
    close(fds[1]);
    assert_end(ahead);
    close(fds[0]);
}

typedef struct Producer {
    int fd;
    const uint8_t *stream;
    size_t bytes;
    GRand *rand;
} Producer;

static void *produce(void *opaque)
{
    const Producer *p = opaque;

    for (size_t done = 0; done < p->bytes; ) {
        size_t part = g_rand_int_range(p->rand, 1, 3000);

        part = MIN(part, p->bytes - done);
        g_assert_true(io_write(p->fd, p->stream + done, part, NULL));
        done += part;
        if (g_rand_int_range(p->rand, 0, 20) == 0) {
            g_usleep(g_rand_int_range(p->rand, 0, 300));
        }
    }
    close(p->fd);
    return NULL;
}

/* Both sides in random parts, with rests at random. */
static void test_random(gconstpointer data)
{
    const Shape *shape = data;
    size_t bytes = 400 * PIECE + g_test_rand_int_range(0, 2 * PIECE);
    g_autofree uint8_t *stream = stream_of(bytes);
    g_autoptr(IoReadAhead) ahead = NULL;
    Producer producer = { .stream = stream, .bytes = bytes };
    GThread *thread;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    producer.fd = fds[1];
    producer.rand = g_rand_new_with_seed(g_test_rand_int());
    thread = g_thread_new("producer", produce, &producer);
    ahead = start(fds[0], shape);
    for (size_t done = 0; done < bytes; ) {
        done += take(ahead, stream, done, g_test_rand_int_range(1, 3000));
        g_assert_cmpuint(io_read_ahead_bytes(ahead), <=, capacity(shape));
        if (g_test_rand_int_range(0, 20) == 0) {
            g_usleep(g_test_rand_int_range(0, 1000));
        }
    }
    assert_end(ahead);
    g_thread_join(thread);
    g_rand_free(producer.rand);
    close(fds[0]);
}

/*
 * Pieces so large that the caller gets to the last one while it is written to
 * the file.
 */
static void test_catch_up(gconstpointer data)
{
    size_t piece_bytes = 256 << 10;
    size_t bytes = 96 * piece_bytes;
    g_autofree uint8_t *stream = stream_of(bytes);
    int fd = fd_of_bytes(stream, bytes);
    g_autoptr(IoReadAhead) ahead = start_with(fd, data, piece_bytes);

    for (size_t done = 0; done < bytes; ) {
        done += take(ahead, stream, done, g_test_rand_int_range(1, 300000));
    }
    assert_end(ahead);
    close(fd);
}

/* The connection breaks: what came before it is good. */
static void test_error(gconstpointer data)
{
    const Shape *shape = data;
    size_t bytes = 3 * PIECE / 2;
    g_autofree uint8_t *stream = stream_of(bytes);
    g_autoptr(IoReadAhead) ahead = NULL;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    g_assert_true(io_write(fds[1], stream, bytes, NULL));
    /* Closed with something unread it is reset. */
    g_assert_true(io_write(fds[0], "x", 1, NULL));
    close(fds[1]);
    ahead = start(fds[0], shape);
    await(ahead, bytes);
    take_all(ahead, stream, 0, bytes);
    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        uint8_t byte;
        struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
        size_t got;

        g_assert_false(io_read_ahead_readv(ahead, &iov, 1, &got, &error));
        assert_kind(error, BACKUP_ERROR_FAILED);
        g_assert_cmpstr(error->message, ==, g_strerror(ECONNRESET));
    }
    close(fds[0]);
}

/* It is stopped while it waits for bytes, or for room. */
static void test_stop(gconstpointer data)
{
    const Shape *shape = data;
    size_t bytes = capacity(shape) + PIECE;
    g_autofree uint8_t *stream = stream_of(bytes);

    for (size_t written = 0; written <= bytes; written += bytes) {
        g_autoptr(IoReadAhead) ahead = NULL;
        int fds[2];

        g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
        g_assert_true(io_write(fds[1], stream, written, NULL));
        ahead = start(fds[0], shape);
        await(ahead, MIN(written, capacity(shape)));
        io_read_ahead_stop(ahead);
        io_read_ahead_stop(ahead);
        g_assert_true(io_write(fds[1], "x", 1, NULL));
        g_assert_cmpuint(left_in_pipe(fds[0]), ==,
                         1 + written - MIN(written, capacity(shape)));
        close(fds[0]);
        close(fds[1]);
    }
}

/* The caller waits for bytes, and a signal comes. */
static void *interrupt(void *opaque)
{
    g_usleep(20000);
    pthread_kill(*(pthread_t *)opaque, SIGINT);
    return NULL;
}

static void test_signal(void)
{
    g_autoptr(IoReadAhead) ahead = NULL;
    g_autoptr(GError) error = NULL;
    pthread_t self = pthread_self();
    uint8_t byte;
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    size_t got;
    GThread *thread;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    /* Who started this may have it ignored. */
    signal(SIGINT, SIG_DFL);
    io_catch_signals();
    ahead = start(fds[0], &shapes[1]);
    thread = g_thread_new("interrupt", interrupt, &self);
    g_assert_false(io_read_ahead_readv(ahead, &iov, 1, &got, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "SIGINT"));
    g_thread_join(thread);
    io_clear_interrupt();
    close(fds[0]);
    close(fds[1]);
}

static void add(const char *claim, GTestDataFunc func)
{
    for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
        g_autofree char *path = g_strdup_printf("/read-ahead/%s/%s", claim,
                                                shapes[i].name);

        g_test_add_data_func(path, &shapes[i], func);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("ends-at-any-size", test_sizes);
    add("no-more-than-there-is-room-for", test_capacity);
    add("byte-by-byte", test_byte_by_byte);
    add("random-parts-on-both-sides", test_random);
    add("caller-catches-up", test_catch_up);
    add("error-comes-after-the-bytes", test_error);
    add("stops-whatever-it-waits-for", test_stop);
    g_test_add_func("/read-ahead/signal-ends-the-wait", test_signal);
    return g_test_run();
}
