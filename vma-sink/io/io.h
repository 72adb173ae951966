/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole reads and writes on a descriptor that may be a pipe, a socket or a
 * file.  Short transfers and EINTR end here and nowhere else.  Errors name the
 * cause alone ("No space left on device"): the caller knows what was to be
 * read or written, and puts that in front.
 *
 * SIGINT, SIGTERM and SIGHUP, once io_catch_signals() was called, make every
 * function of this folder that may block fail with "interrupted by SIG...", so
 * that programs unwind as after any other error and clean up.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * Reads until the buffers (or BYTES) are full or the input ends; *got is what
 * was read.  False on an error only, with *got still set.  io_readv_some()
 * returns after the first read that gave something.  The iovec is changed.
 */
bool io_read(int fd, void *buffer, size_t bytes, size_t *got, GError **error);
bool io_readv_some(int fd, struct iovec *iov, int count, size_t *got,
                   GError **error);

/*
 * For a thread that no signal interrupts: as io_readv_some(), but with the error
 * "stopped" as soon as STOP_FD, an eventfd, can be read.
 */
bool io_read_or_stop(int fd, int stop_fd, void *buffer, size_t bytes,
                     size_t *got, GError **error);

/*
 * Waits until FD, or STOP_FD, can be read without blocking, or has ended or
 * failed, which the next read will tell.  False: of kind INCOMPLETE, that was not
 * so for SECONDS; or, where STOP_FD is -1, a signal came.
 */
bool io_wait_readable(int fd, int stop_fd, unsigned seconds, GError **error);

/* Writes everything, or fails.  The iovec is changed. */
bool io_write(int fd, const void *buffer, size_t bytes, GError **error);
bool io_writev(int fd, struct iovec *iov, int count, GError **error);

/*
 * From now on these, and io_send(), fail when the other side has taken nothing
 * for SECONDS; 0: never, as at the beginning.  Once, after io_catch_signals(),
 * and for writers in the main thread.
 */
bool io_set_write_timeout(unsigned seconds, GError **error);

/*
 * As io_writev(), to a socket whose other side has nothing to say meanwhile:
 * fails as soon as it says something all the same, which is left to be read.
 * That it will say nothing any more is no failure.
 */
bool io_send(int fd, struct iovec *iov, int count, GError **error);

/* As io_write() and io_read() at an offset, in a file or block device. */
bool io_pwrite(int fd, const void *buffer, size_t bytes, uint64_t offset,
               GError **error);
bool io_pread(int fd, void *buffer, size_t bytes, uint64_t offset, size_t *got,
              GError **error);

/*
 * From now on the first SIGINT, SIGTERM or SIGHUP is an error in this folder's
 * functions; the same SIGINT or SIGTERM again ends the process at once.
 * Ignores SIGPIPE and SIGXFSZ, which are errors of a write as well.  Blocks
 * SIGUSR1, in all threads if there are none yet, for whoever waits for it.
 *
 * A thread of its own should block all signals: those that end the program have
 * to reach one that can be blocked in a call of this folder.
 */
void io_catch_signals(void);

/*
 * Before exec(): the program that follows gets signals as they are by default.
 * What the shell ignores (SIGINT of what nohup runs) stays ignored.
 */
void io_release_signals(void);

/*
 * For what must not be left undone: while this is on, a second signal is like
 * the first, SIGQUIT is like the others, and none stops the program.  Whoever
 * turns it on waits for nothing without a limit.
 */
void io_outlive_signals(bool outlive);

/* Whether one came; sets *error then. */
bool io_interrupted(GError **error);

/*
 * Takes the signal as dealt with: this folder's functions work again, for what
 * is to be done before the program ends.
 */
void io_clear_interrupt(void);

/* Whether FD takes a write without blocking, now or within MILLISECONDS. */
bool io_wait_writable(int fd, int milliseconds);

/* Room for a megabyte in a pipe, if FD is one and the system allows it. */
void io_enlarge_pipe(int fd);

/*
 * A new file in FOLDER, to read and write, that has no name and is gone when
 * nobody has it open any more.  -1 with errno set.
 */
int io_open_nameless(const char *folder);

#endif /* IO_IO_H */
