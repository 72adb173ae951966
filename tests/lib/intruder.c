/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into a program under test, does what an intruder would, as soon as
 * the first byte of INTRUDER_FILE was read: what INTRUDER_DOES says, see below.
 * It prints what came of it, "intruder: TRY: done" or the error, and ends the
 * process with exit code 50; unless that was killed.  With INTRUDER_WAITS it
 * lets a process be that another one with this library has forked.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int try_execve(const char *path)
{
    char *const argv[] = { (char *)path, NULL };

    return execve(path, argv, argv + 1);
}

static int try_fork(const char *path)
{
    pid_t pid = fork();

    (void)path;
    if (pid == 0) {
        _exit(0);
    }
    return pid;
}

static int try_open(const char *path)
{
    return open(path, O_RDONLY);
}

static int try_create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT, 0600);
}

static int try_unlink(const char *path)
{
    return unlink(path);
}

/* Over a file that is there. */
static int try_write(const char *path)
{
    return open(path, O_WRONLY);
}

static int try_mkdir(const char *path)
{
    return mkdir(path, 0700);
}

/* To another name in its folder, and to one in a folder below, "below". */
static int try_rename(const char *path)
{
    char other[4096];

    snprintf(other, sizeof(other), "%s.other", path);
    return rename(path, other);
}

static int rename_below(const char *path,
                        int (*func)(const char *from, const char *to))
{
    const char *slash = strrchr(path, '/');
    char other[4096];

    snprintf(other, sizeof(other), "%.*s/below/moved", (int)(slash - path),
             path);
    return func(path, other);
}

static int try_move(const char *path)
{
    return rename_below(path, rename);
}

static int try_link(const char *path)
{
    return rename_below(path, link);
}

/* What Landlock does not look at: whose a file is, and what it permits. */
static int try_chmod(const char *path)
{
    return syscall(SYS_fchmodat, AT_FDCWD, path, 0666);
}

/* Newer ones, that a library may not know. */
static int try_fchmodat2(const char *path)
{
    return syscall(452, AT_FDCWD, path, 0666, 0);
}

static int try_setxattrat(const char *path)
{
    return syscall(463, AT_FDCWD, path, 0, "user.intruder", NULL, 0);
}

static int try_chown(const char *path)
{
    return fchownat(AT_FDCWD, path, geteuid(), getegid(), 0);
}

static int try_setxattr(const char *path)
{
    return setxattr(path, "user.intruder", "x", 1, 0);
}

static int try_utime(const char *path)
{
    return utimensat(AT_FDCWD, path, NULL, 0);
}

static int try_truncate(const char *path)
{
    return truncate(path, 1);
}

/* Empties what may be read, if it is only looked at how it is opened. */
static int try_empty(const char *path)
{
    return open(path, O_RDONLY | O_TRUNC);
}

/* By what is told to files that are open: that it is no file to be dumped. */
static int try_flags(const char *path)
{
    int flags = FS_NODUMP_FL;

    return ioctl(open(path, O_RDONLY), FS_IOC_SETFLAGS, &flags);
}

/* Neither for reading nor for writing, but enough for changes by descriptor. */
static int try_neither(const char *path)
{
    return open(path, O_ACCMODE);
}

static int try_openat2(const char *path)
{
    struct open_how how = { .flags = O_RDONLY };

    return syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* Programs that run as who is broken into: in a folder that is written to. */
static int try_setid(const char *path)
{
    return open(path, O_WRONLY | O_CREAT, 04755);
}

static int try_setidat(const char *path)
{
    return openat(AT_FDCWD, path, O_WRONLY | O_CREAT, 02755);
}

static int try_folder(const char *path)
{
    return mkdir(path, 02755);
}

static int try_fchmod(const char *path)
{
    return fchmod(try_create(path), 04755);
}

static int try_fchown(const char *path)
{
    return fchown(try_create(path), geteuid(), getegid());
}

static int try_capability(const char *path)
{
    /* CAP_SETUID, effective; VFS_CAP_REVISION_2. */
    const unsigned capability[5] = { 0x02000001, 1 << 7 };

    return fsetxattr(try_create(path), "security.capability", capability,
                     sizeof(capability), 0);
}

static int try_tcp(const char *path)
{
    (void)path;
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int try_unix(const char *path)
{
    (void)path;
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int try_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0),
                   (struct sockaddr *)&address, sizeof(address));
}

static int try_ptrace(const char *path)
{
    (void)path;
    return ptrace(PTRACE_ATTACH, getppid(), 0, 0);
}

static int try_mount(const char *path)
{
    return mount("none", path, "tmpfs", 0, NULL);
}

static int try_unshare(const char *path)
{
    (void)path;
    return unshare(CLONE_NEWUSER);
}

static int try_keyctl(const char *path)
{
    (void)path;
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,
                   KEY_SPEC_SESSION_KEYRING, 1);
}

static int try_kill(const char *path)
{
    (void)path;
    return kill(getppid(), 0);
}

/* Signals by way of a pipe: whose, which one, and when. */
static int call_of_pipe(int command, long argument)
{
    int fds[2];

    return pipe(fds) < 0 ? -1 : fcntl(fds[0], command, argument);
}

static int try_setown(const char *path)
{
    (void)path;
    return call_of_pipe(F_SETOWN, getppid());
}

static int try_setsig(const char *path)
{
    (void)path;
    return call_of_pipe(F_SETSIG, SIGKILL);
}

static int try_async(const char *path)
{
    int on = 1;

    (void)path;
    return ioctl(STDERR_FILENO, FIOASYNC, &on);
}

static int try_notify(const char *path)
{
    return fcntl(open(path, O_RDONLY), F_NOTIFY, DN_CREATE);
}

/* The CPU time of another process, which a signal ends when it is used up. */
static int try_limit(const char *path)
{
    const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    (void)path;
    return prlimit(getppid(), RLIMIT_CPU, &limit, NULL);
}

/* Types for the user, on the terminal that it is run on. */
static int try_typing(const char *path)
{
    (void)path;
    return ioctl(STDERR_FILENO, TIOCSTI, "x");
}

static int try_code(const char *path)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)path;
    return mprotect(memory, 4096, PROT_READ | PROT_EXEC);
}

static void *do_nothing(void *opaque)
{
    return opaque;
}

/* What has to go on. */
static int try_thread(const char *path)
{
    pthread_t thread;
    int errnum = pthread_create(&thread, NULL, do_nothing, NULL);

    (void)path;
    errno = errnum;
    return errnum ? -1 : pthread_join(thread, NULL);
}

static void *leave_late(void *opaque)
{
    sleep(5);
    _exit(52);
    return opaque;
}

/* getpid() of x32, which is to end more than this thread. */
static int try_x32(const char *path)
{
    pthread_t thread;

    (void)path;
    pthread_create(&thread, NULL, leave_late, NULL);
    return syscall(0x40000000 | 39);
}

static const struct {
    const char *name;
    int (*func)(const char *path);
} tries[] = {
    { "execve", try_execve },   { "fork", try_fork },
    { "open", try_open },       { "create", try_create },
    { "unlink", try_unlink },   { "write", try_write },
    { "mkdir", try_mkdir },     { "rename", try_rename },
    { "move", try_move },       { "link", try_link },
    { "chmod", try_chmod },
    { "fchmodat2", try_fchmodat2 }, { "setxattrat", try_setxattrat },
    { "chown", try_chown },     { "setxattr", try_setxattr },
    { "utime", try_utime },     { "neither", try_neither },
    { "openat2", try_openat2 }, { "setid", try_setid },
    { "setidat", try_setidat }, { "folder", try_folder },
    { "fchmod", try_fchmod },   { "fchown", try_fchown },
    { "capability", try_capability },
    { "truncate", try_truncate },
    { "empty", try_empty },     { "flags", try_flags },
    { "tcp", try_tcp },         { "connect", try_connect },
    { "unix", try_unix },       { "ptrace", try_ptrace },
    { "mount", try_mount },     { "unshare", try_unshare },
    { "keyctl", try_keyctl },   { "kill", try_kill },
    { "setown", try_setown },   { "setsig", try_setsig },
    { "async", try_async },     { "notify", try_notify },
    { "limit", try_limit },     { "typing", try_typing },
    { "code", try_code },
    { "thread", try_thread },   { "x32", try_x32 },
};

/* "TRY" or "TRY:PATH". */
static void intrude(const char *what)
{
    size_t bytes = strcspn(what, ":");
    const char *path = what[bytes] ? what + bytes + 1 : "";

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        if (strlen(tries[i].name) == bytes &&
            strncmp(what, tries[i].name, bytes) == 0) {
            int result = tries[i].func(path);

            dprintf(STDERR_FILENO, "intruder: %s: %s\n", tries[i].name,
                    result < 0 ? strerror(errno) : "done");
            _exit(50);
        }
    }
    dprintf(STDERR_FILENO, "intruder: cannot do %s\n", what);
    _exit(51);
}

static pid_t first;

__attribute__((constructor))
static void note_first(void)
{
    first = getpid();
}

static void was_read(int fd, ssize_t bytes)
{
    const char *path = getenv("INTRUDER_FILE");
    struct stat file, own;

    if (getenv("INTRUDER_WAITS") && getpid() != first) {
        return;
    }
    if (bytes > 0 && path && stat(path, &file) == 0 && fstat(fd, &own) == 0 &&
        own.st_dev == file.st_dev && own.st_ino == file.st_ino) {
        intrude(getenv("INTRUDER_DOES"));
    }
}

ssize_t read(int fd, void *data, size_t bytes)
{
    ssize_t n = NEXT(read)(fd, data, bytes);

    was_read(fd, n);
    return n;
}

ssize_t readv(int fd, const struct iovec *iov, int count)
{
    ssize_t n = NEXT(readv)(fd, iov, count);

    was_read(fd, n);
    return n;
}

ssize_t pread64(int fd, void *data, size_t bytes, off64_t offset)
{
    ssize_t n = NEXT(pread64)(fd, data, bytes, offset);

    was_read(fd, n);
    return n;
}

ssize_t pread(int fd, void *data, size_t bytes, off_t offset)
{
    return pread64(fd, data, bytes, offset);
}
