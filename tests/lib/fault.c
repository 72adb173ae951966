/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into a program under test, makes one of its calls on an output
 * fail: FAULT_AT counts from 1 over all the calls below, FAULT_ERRNO is the
 * error; with FAULT_KILL the process is killed there instead.
 * FAULT_CALLS="NAME=ERRNO NAME=ERRNO" makes all calls of these names fail, as on
 * a file system that does not have them.  FAULT_SHORT=1 makes writes short
 * instead, all of them.  With FAULT_REPORT set to a file the number of calls is
 * written there at the end; with FAULT_LOG each call's name is appended to it,
 * with the file's base name.  Standard error is left alone.
 *
 * With FAULT_NO_ZEROING block devices can't punch holes nor zero themselves, with
 * FAULT_NO_TMPFILE a file can't be created without a name.
 *
 * Reads at an offset fail with FAULT_ERRNO from offset FAULT_PREAD_FROM on, and
 * take FAULT_PREAD_SLEEP milliseconds.  A sync of a file takes FAULT_SYNC_SLEEP
 * milliseconds, which no signal makes shorter.  With FAULT_IGNORE_SYNC=files or
 * folders theirs do nothing and say that they have.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int calls;

/* Opened at the start: later the program may not any more. */
static int log_fd = -1;
static int report_fd = -1;

static int env_number(const char *name)
{
    const char *text = getenv(name);

    return text ? atoi(text) : 0;
}

/* Appends a line, by calls that are not counted. */
static void log_call(const char *name, int fd)
{
    char link[64], target[4096] = "", line[4200];
    int bytes;

    if (log_fd < 0) {
        return;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (fd < 0 || readlink(link, target, sizeof(target) - 1) < 0) {
        target[0] = 0;
    }
    bytes = snprintf(line, sizeof(line), "%s %s\n", name,
                     strrchr(target, '/') ? strrchr(target, '/') + 1 : "-");
    (void)!NEXT(write)(log_fd, line, bytes);
}

/* The error with which all calls of this name fail, or 0. */
static int errno_of(const char *name)
{
    const char *list = getenv("FAULT_CALLS");
    size_t bytes = strlen(name);

    for (const char *p = list; p && *p; p += strcspn(p, " "), p += *p == ' ') {
        if (strncmp(p, name, bytes) == 0 && p[bytes] == '=') {
            return atoi(p + bytes + 1);
        }
    }
    return 0;
}

/* Counts a call on FD; whether it is one to fail. */
static int hit(const char *name, int fd)
{
    if (fd == STDERR_FILENO) {
        return 0;
    }
    log_call(name, fd);
    if (++calls == env_number("FAULT_AT")) {
        if (getenv("FAULT_KILL")) {
            raise(SIGKILL);
        }
        errno = env_number("FAULT_ERRNO");
        return 1;
    }
    if (errno_of(name)) {
        errno = errno_of(name);
        return 1;
    }
    return 0;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    if (hit("writev", fd)) {
        return -1;
    }
    if (env_number("FAULT_SHORT") && fd != STDERR_FILENO) {
        size_t bytes = iov[0].iov_len;

        return NEXT(write)(fd, iov[0].iov_base,
                           bytes > 1000 ? 1000 : bytes > 1 ? bytes / 2 : bytes);
    }
    return NEXT(writev)(fd, iov, count);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    if (hit("pwrite", fd)) {
        return -1;
    }
    if (env_number("FAULT_SHORT") && bytes > 1000) {
        bytes = 1000;
    }
    return NEXT(pwrite64)(fd, data, bytes, offset);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    return pwrite64(fd, data, bytes, offset);
}

ssize_t pread64(int fd, void *data, size_t bytes, off64_t offset)
{
    int from = env_number("FAULT_PREAD_FROM");

    usleep(env_number("FAULT_PREAD_SLEEP") * 1000);
    if (from && offset + (off64_t)bytes > from) {
        errno = env_number("FAULT_ERRNO");
        return -1;
    }
    return NEXT(pread64)(fd, data, bytes, offset);
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
    return pread64(fd, data, bytes, offset);
}

int ftruncate64(int fd, off64_t size)
{
    return hit("ftruncate", fd) ? -1 : NEXT(ftruncate64)(fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

/* As a disk does, which no signal interrupts. */
static void sleep_whole(int milliseconds)
{
    struct timespec left = {
        .tv_sec = milliseconds / 1000,
        .tv_nsec = milliseconds % 1000 * 1000000L,
    };

    while (nanosleep(&left, &left) < 0) {
        /* The rest of it. */
    }
}

/* Whether a sync is to say that it is done, and do nothing. */
static int ignores_sync(int fd)
{
    const char *what = getenv("FAULT_IGNORE_SYNC");
    struct stat st;

    return what && fstat(fd, &st) == 0 &&
           strcmp(what, S_ISDIR(st.st_mode) ? "folders" : "files") == 0;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*start)(void *), void *argument)
{
    int errnum = errno_of("pthread_create");

    return errnum ? errnum
                  : NEXT(pthread_create)(thread, attributes, start, argument);
}

int fsync(int fd)
{
    sleep_whole(env_number("FAULT_SYNC_SLEEP"));
    return hit("fsync", fd) ? -1 : ignores_sync(fd) ? 0 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return hit("fdatasync", fd) ? -1
           : ignores_sync(fd) ? 0 : NEXT(fdatasync)(fd);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
    if (env_number("FAULT_NO_ZEROING")) {
        log_call("no-fallocate", fd);
        errno = EOPNOTSUPP;
        return -1;
    }
    return hit("fallocate", fd) ? -1
                                : NEXT(fallocate64)(fd, mode, offset, bytes);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    return fallocate64(fd, mode, offset, bytes);
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    void *argument;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    if (request == BLKZEROOUT && env_number("FAULT_NO_ZEROING")) {
        log_call("no-zeroout", fd);
        errno = EOPNOTSUPP;
        return -1;
    }
    if (request == BLKZEROOUT && hit("zeroout", fd)) {
        return -1;
    }
    return NEXT(ioctl)(fd, request, argument);
}

int mkdir(const char *path, mode_t mode)
{
    return hit("mkdir", -1) ? -1 : NEXT(mkdir)(path, mode);
}

int rename(const char *from, const char *to)
{
    return hit("rename", -1) ? -1 : NEXT(rename)(from, to);
}

int link(const char *from, const char *to)
{
    return hit("link", -1) ? -1 : NEXT(link)(from, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to,
              unsigned flags)
{
    return hit("renameat2", -1) ? -1 : NEXT(renameat2)(from_fd, from, to_fd, to, flags);
}

/* Counts the creation of the temporary file, and the folder's opening. */
int mkostemps64(char *template, int suffix_bytes, int flags)
{
    return hit("mkostemps", -1) ? -1 : NEXT(mkostemps64)(template, suffix_bytes, flags);
}

int mkostemps(char *template, int suffix_bytes, int flags)
{
    return hit("mkostemps", -1) ? -1 : NEXT(mkostemps)(template, suffix_bytes, flags);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    if ((flags & O_TMPFILE) == O_TMPFILE && getenv("FAULT_NO_TMPFILE")) {
        log_call("no-tmpfile", -1);
        errno = EOPNOTSUPP;
        return -1;
    }
    if (flags & (O_CREAT | __O_TMPFILE)) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    return NEXT(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open64(path, flags, mode);
}

/* The creation of a file in a folder. */
int openat64(int folder_fd, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;

    if (flags & O_CREAT) {
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
        if (hit("openat", -1)) {
            return -1;
        }
    }
    return NEXT(openat64)(folder_fd, path, flags, mode);
}

int openat(int folder_fd, const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return openat64(folder_fd, path, flags, mode);
}

/* A duplicate is there for a file's lock: its close is of no interest. */
static unsigned char is_lock[1024];

int fcntl(int fd, int command, ...)
{
    va_list args;
    void *argument;
    int result;

    va_start(args, command);
    argument = va_arg(args, void *);
    va_end(args);
    result = NEXT(fcntl)(fd, command, argument);
    if (command == F_DUPFD_CLOEXEC && result >= 0 &&
        result < (int)sizeof(is_lock)) {
        is_lock[result] = 1;
    }
    return result;
}

/* Closes of what was written report errors too. */
int close(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    struct stat st;

    if (fd >= 0 && fd < (int)sizeof(is_lock) && is_lock[fd]) {
        is_lock[fd] = 0;
        return NEXT(close)(fd);
    }
    if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY &&
        fstat(fd, &st) == 0 &&
        (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) && hit("close", fd)) {
        int errnum = errno;

        NEXT(close)(fd);
        errno = errnum;
        return -1;
    }
    return NEXT(close)(fd);
}

/* Out of the way of descriptors that the program counts on. */
static int open_for_us(const char *variable, int flags)
{
    const char *path = getenv(variable);
    int fd = path ? open64(path, O_WRONLY | O_CREAT | flags, 0600) : -1;
    int high = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 100) : -1;

    if (fd >= 0) {
        NEXT(close)(fd);
    }
    return high;
}

__attribute__((constructor))
static void prepare(void)
{
    log_fd = open_for_us("FAULT_LOG", O_APPEND);
    report_fd = open_for_us("FAULT_REPORT", O_TRUNC);
}

__attribute__((destructor))
static void report(void)
{
    if (report_fd >= 0) {
        dprintf(report_fd, "%d\n", calls);
    }
}
