/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program of ours may make the calls that are listed here; the list has whole
 * classes of calls that do no more than others in it, as libraries and kernels
 * choose among them.  What is not listed fails with EPERM, as if the system did
 * not permit it, which libraries live with; what nobody would call but who has
 * taken over the program ends it (SIGSYS).
 *
 * The plugin is within a server with calls of its own, so there only what an
 * intruder wants is listed, and denied: to run a program, to connect to
 * anywhere, to change files in ways that Landlock does not look at, to send
 * other processes signals, which it looks at from version 6 on, and the same
 * that ends a program of ours.
 *
 * Names that the library or the architecture does not know are passed over, but
 * for those of newer calls that are denied.
 */
#include "confine/seccomp.h"

#ifdef HAVE_LIBSECCOMP

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <linux/seccomp.h>

/* The sanitizers look at the process from outside when it ends. */
#if defined(__SANITIZE_ADDRESS__) || defined(CONFINE_INSTRUMENTED)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

/* Of all threads at once, and ending the whole process: Linux 4.14. */
#define API_LEVEL 3

#define DENIED SCMP_ACT_ERRNO(EPERM)

static const char *const allowed[] = {
    /* Reading and writing. */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev",
    "pwrite64", "pwritev", "pwritev2", "lseek", "_llseek", "splice", "tee",
    "vmsplice", "sendfile", "sendfile64", "copy_file_range", "readahead",
    "fadvise64", "fadvise64_64", "arm_fadvise64_64", "sync_file_range",
    "sync_file_range2", "fsync", "fdatasync", "syncfs", "fallocate",
    "ftruncate", "ftruncate64",
    /*
     * Files and folders: which ones is up to Landlock; what it does not look at
     * is below, or not here.
     */
    "close", "close_range", "stat", "stat64", "lstat", "lstat64", "fstat",
    "fstat64", "newfstatat", "fstatat64", "statx", "statfs", "statfs64",
    "fstatfs", "fstatfs64", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getcwd", "getdents", "getdents64", "rmdir", "unlink",
    "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "umask",
    "flock", "dup", "dup2", "dup3", "chdir", "fchdir", "fgetxattr",
    "fremovexattr",
    /* Waiting, and what is waited for. */
    "poll", "ppoll", "ppoll_time64", "select", "_newselect", "pselect6",
    "pselect6_time64", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_wait", "epoll_pwait", "epoll_pwait2", "pipe", "pipe2", "eventfd",
    "eventfd2", "signalfd", "signalfd4", "timerfd_create", "timerfd_settime",
    "timerfd_settime64", "timerfd_gettime", "timerfd_gettime64", "nanosleep",
    "clock_nanosleep", "clock_nanosleep_time64", "restart_syscall", "pause",
    /* Sockets that are there: a stream's, an NBD server's. */
    "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom", "recvmsg",
    "recvmmsg", "recvmmsg_time64", "shutdown", "getsockopt", "setsockopt",
    "getsockname", "getpeername",
    /* Memory; mmap and mprotect are below. */
    "brk", "munmap", "mremap", "madvise", "mincore", "msync", "mlock",
    "mlock2", "munlock", "membarrier",
    /* Threads; clone is below. */
    "futex", "futex_time64", "futex_waitv", "set_robust_list",
    "get_robust_list", "set_tid_address", "rseq", "gettid", "exit",
    "exit_group", "sched_yield", "sched_getaffinity", "sched_getparam",
    "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min",
    "getcpu", "set_thread_area", "get_thread_area", "set_tls", "cacheflush",
    /* Signals of our own. */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_sigtimedwait_time64", "sigaction",
    "sigprocmask", "sigreturn", "signal", "sigaltstack", "alarm", "setitimer",
    "getitimer",
    /* The time, and who and where we are. */
    "clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64",
    "gettimeofday", "time", "times", "getrusage", "getrandom", "uname",
    "sysinfo", "getpid", "getppid", "getpgrp", "getpgid", "getsid", "getuid",
    "getuid32", "geteuid", "geteuid32", "getgid", "getgid32", "getegid",
    "getegid32", "getresuid", "getresuid32", "getresgid", "getresgid32",
    "getgroups", "getgroups32", "getrlimit", "ugetrlimit", "getpriority",
    "riscv_flush_icache", "riscv_hwprobe",
};

/* TCGETS2, whose struct is in a header that does not go with <termios.h>. */
#define GET_TERMIOS2 _IOC(_IOC_READ, 'T', 0x2a, 44)

/* None of them puts anything into a terminal's input. */
static const unsigned ioctls[] = {
    TCGETS, GET_TERMIOS2, TIOCGWINSZ, TIOCGPGRP, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX,
    FICLONE, FICLONERANGE, FS_IOC_FIEMAP, FS_IOC_GETFLAGS, BLKGETSIZE64,
    BLKSSZGET, BLKPBSZGET, BLKBSZGET, BLKROGET, BLKDISCARD, BLKZEROOUT,
    BLKDISCARDZEROES, BLKFLSBUF,
};

/* None of them has a signal sent; F_SETFL is below. */
static const int fcntls[] = {
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_OFD_GETLK,
    F_OFD_SETLK, F_GETPIPE_SZ, F_SETPIPE_SZ,
};

static const int prctls[] = {
    PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_GET_SECCOMP,
    PR_CAPBSET_READ,
};

/* For a program of ours: running one ends it, too. */
static const char *const exec_calls[] = { "execve", "execveat" };

static const char *const attacks[] = {
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp",
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount",
    "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    "setns", "unshare", "swapon", "swapoff", "reboot", "kexec_load",
    "kexec_file_load", "create_module", "init_module", "finit_module",
    "delete_module", "bpf", "perf_event_open", "userfaultfd", "add_key",
    "request_key", "keyctl", "open_by_handle_at", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "acct", "quotactl", "quotactl_fd",
    "clock_settime", "clock_settime64", "settimeofday", "sethostname",
    "setdomainname", "iopl", "ioperm", "modify_ldt",
};

/* What the sanitizers need besides. */
static const char *const instrumented[] = {
    "ptrace", "wait4", "waitpid", "waitid", "clone", "clone3", "prctl", "mmap",
    "mmap2", "mprotect", "kill", "tgkill", "personality", "arch_prctl",
    "prlimit64", "ioctl", "process_vm_readv", "sched_setaffinity", "fcntl",
    "fcntl64",
};

const char *confine_seccomp_missing(void)
{
    /* A filter at no address: who knows filters looks for it there. */
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == 0 ||
        errno != EFAULT) {
        return errno == EINVAL ? "the kernel has none"
                               : "the system does not permit it";
    }
    return seccomp_api_get() < API_LEVEL ? "the kernel's is too old" : NULL;
}

/*
 * The kernel may be newer than the library.  These have the same number nearly
 * everywhere.
 */
static int resolve(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } newer[] = {
        { "fchmodat2", 452 },     { "setxattrat", 463 },
        { "removexattrat", 466 }, { "file_setattr", 469 },
    };
    int number = seccomp_syscall_resolve_name(name);

    for (size_t i = 0; number == __NR_SCMP_ERROR && i < G_N_ELEMENTS(newer);
         i++) {
        if (strcmp(name, newer[i].name) == 0) {
            number = newer[i].number;
        }
    }
    return number;
}

/*
 * COUNT conditions on the arguments.  Returns 0 or an errno value, negative, as
 * the library does.
 */
static int add(scmp_filter_ctx filter, uint32_t action, const char *name,
               unsigned count, const struct scmp_arg_cmp *conditions)
{
    int number = resolve(name);
    int result;

    if (number == __NR_SCMP_ERROR) {
        return 0;
    }
    result = seccomp_rule_add_array(filter, action, number, count, conditions);
    /* An architecture without this call. */
    return result == -EDOM ? 0 : result;
}

static int add_all(scmp_filter_ctx filter, uint32_t action,
                   const char *const *names, size_t count)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < count; i++) {
        result = add(filter, action, names[i], 0, NULL);
    }
    return result;
}

static int add_if(scmp_filter_ctx filter, uint32_t action, const char *name,
                  struct scmp_arg_cmp condition)
{
    return add(filter, action, name, 1, &condition);
}

static int allow_if(scmp_filter_ctx filter, const char *name,
                    struct scmp_arg_cmp condition)
{
    return add_if(filter, SCMP_ACT_ALLOW, name, condition);
}

#define SET_ID_MODES 07000u     /* set-user-ID, set-group-ID, sticky */
#define CAPABILITY_BYTES 24u    /* security.capability at its longest */

/* Nothing is made, or becomes, what runs as who made it. */
static struct scmp_arg_cmp has_no_set_id(unsigned argument)
{
    return SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, SET_ID_MODES, 0);
}

/*
 * For reading, for writing or for both.  What is opened for neither Landlock
 * does not look at, and it could be changed by its descriptor; nor did it look
 * at what is opened for reading and truncated, before version 3.  The argument
 * FLAGS is followed by the mode.
 */
static int allow_open(scmp_filter_ctx filter, const char *name, unsigned flags)
{
    static const unsigned accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
    int result = 0;

    for (size_t i = 0; result == 0 && i < G_N_ELEMENTS(accesses); i++) {
        unsigned mask = O_WRONLY | O_RDWR |
                        (accesses[i] == O_RDONLY ? O_TRUNC : 0);
        const struct scmp_arg_cmp conditions[] = {
            SCMP_CMP(flags, SCMP_CMP_MASKED_EQ, mask, accesses[i]),
            has_no_set_id(flags + 1),
        };

        result = add(filter, SCMP_ACT_ALLOW, name, 2, conditions);
    }
    return result;
}

static int allow_files(scmp_filter_ctx filter)
{
    int result = allow_open(filter, "open", 1);

    result = result ? result : allow_open(filter, "openat", 2);
    /* Its flags are in memory; without it libraries take openat. */
    result = result ? result : add(filter, SCMP_ACT_ERRNO(ENOSYS), "openat2",
                                   0, NULL);
    result = result ? result : allow_if(filter, "mkdir", has_no_set_id(1));
    result = result ? result : allow_if(filter, "mkdirat", has_no_set_id(2));
    result = result ? result : allow_if(filter, "fchmod", has_no_set_id(1));
    /* The mark of a temporary file is longer (io/stale.c). */
    return result ? result : allow_if(filter, "fsetxattr",
                                      SCMP_A3(SCMP_CMP_GT, CAPABILITY_BYTES));
}

/* The kernel looks at the lower half of a request, here and of fcntl's. */
static struct scmp_arg_cmp is_request(unsigned request)
{
    return SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, request);
}

/* No memory becomes code. */
static int allow_memory(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp no_code =
        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    int result = allow_if(filter, "mprotect", no_code);

#if defined(__s390__)
    /* Its arguments are in memory. */
    return result ? result : add(filter, SCMP_ACT_ALLOW, "mmap", 0, NULL);
#elif defined(__NR_mmap2)
    /* So are those of an older mmap, which nobody uses. */
    return result ? result : allow_if(filter, "mmap2", no_code);
#else
    return result ? result : allow_if(filter, "mmap", no_code);
#endif
}

/* A new thread is no new process. */
static int allow_threads(scmp_filter_ctx filter)
{
#if defined(__s390__)
    const struct scmp_arg_cmp is_thread =
        SCMP_A1(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
#else
    const struct scmp_arg_cmp is_thread =
        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
#endif
    int result = allow_if(filter, "clone", is_thread);

    /* Its flags are in memory; without it libraries take clone. */
    return result ? result : add(filter, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0,
                                 NULL);
}

/* By both names: on 32 bits libc has the second one. */
static int allow_fcntl(scmp_filter_ctx filter, const char *name)
{
    const struct scmp_arg_cmp set_flags[] = {
        SCMP_A1(SCMP_CMP_EQ, F_SETFL),
        SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0),
    };
    int result = add(filter, SCMP_ACT_ALLOW, name, 2, set_flags);

    for (size_t i = 0; result == 0 && i < G_N_ELEMENTS(fcntls); i++) {
        result = allow_if(filter, name, SCMP_A1(SCMP_CMP_EQ, fcntls[i]));
    }
    return result;
}

static int allow_with_conditions(scmp_filter_ctx filter)
{
    int result = allow_memory(filter);

    result = result ? result : allow_threads(filter);
    result = result ? result : allow_fcntl(filter, "fcntl");
    result = result ? result : allow_fcntl(filter, "fcntl64");
    for (size_t i = 0; result == 0 && i < G_N_ELEMENTS(ioctls); i++) {
        result = allow_if(filter, "ioctl", is_request(ioctls[i]));
    }
    for (size_t i = 0; result == 0 && i < G_N_ELEMENTS(prctls); i++) {
        result = allow_if(filter, "prctl", SCMP_A0(SCMP_CMP_EQ, prctls[i]));
    }
    /* For abort(), and for limits to be read. */
    result = result ? result : allow_if(filter, "tgkill",
                                        SCMP_A0(SCMP_CMP_EQ, getpid()));
    result = result ? result : allow_if(filter, "prlimit64",
                                        SCMP_A2(SCMP_CMP_EQ, 0));
    return result;
}

static int fill_program(scmp_filter_ctx filter)
{
    int result = add_all(filter, SCMP_ACT_ALLOW, allowed,
                         G_N_ELEMENTS(allowed));

    result = result ? result : add_all(filter, SCMP_ACT_KILL_PROCESS,
                                       exec_calls, G_N_ELEMENTS(exec_calls));
    result = result ? result : allow_files(filter);
    if (result == 0 && INSTRUMENTED) {
        return add_all(filter, SCMP_ACT_ALLOW, instrumented,
                       G_N_ELEMENTS(instrumented));
    }
    result = result ? result : allow_with_conditions(filter);
    return result ? result : add_all(filter, SCMP_ACT_KILL_PROCESS, attacks,
                                     G_N_ELEMENTS(attacks));
}

/* Whose a file is, what it permits, and what else Landlock does not look at. */
static const char *const file_changes[] = {
    "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "chown32", "fchown",
    "fchown32", "lchown", "lchown32", "fchownat", "setxattr", "lsetxattr",
    "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr",
    "removexattrat", "file_setattr", "utime", "utimes", "futimesat",
    "utimensat", "utimensat_time64", "truncate", "truncate64",
};

/* A server has its sockets when it starts; clients come by accept. */
static const char *const connect_calls[] = {
    "socket", "socketpair", "connect", "sendmmsg",
};

/* Into a terminal's input, of files, and who gets a signal. */
static const unsigned denied_ioctls[] = {
    TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION,
    FIOASYNC, FIOSETOWN, SIOCSPGRP,
};

static const unsigned denied_fcntls[] = {
    F_SETOWN, F_SETOWN_EX, F_SETSIG, F_SETLEASE, F_NOTIFY,
};

/* To one thread of any process, or by a descriptor. */
static const char *const signal_calls[] = { "tkill", "pidfd_send_signal" };

/* Their first argument is a process. */
static const char *const process_calls[] = {
    "kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
};

/* For neither reading nor writing, or to truncate by reading: see above. */
static int deny_open(scmp_filter_ctx filter, const char *name, unsigned flags)
{
    const unsigned neither = O_WRONLY | O_RDWR;
    int result = add_if(filter, DENIED, name,
                        SCMP_CMP(flags, SCMP_CMP_MASKED_EQ, neither, neither));

    return result ? result
           : add_if(filter, DENIED, name,
                    SCMP_CMP(flags, SCMP_CMP_MASKED_EQ, neither | O_TRUNC,
                             O_RDONLY | O_TRUNC));
}

static int deny_file_changes(scmp_filter_ctx filter)
{
    int result = add_all(filter, DENIED, file_changes,
                         G_N_ELEMENTS(file_changes));

    result = result ? result : deny_open(filter, "open", 1);
    result = result ? result : deny_open(filter, "openat", 2);
    return result ? result : add(filter, SCMP_ACT_ERRNO(ENOSYS), "openat2", 0,
                                 NULL);
}

static int deny_fcntl(scmp_filter_ctx filter, const char *name)
{
    int result = 0;

    for (size_t i = 0; result == 0 && i < G_N_ELEMENTS(denied_fcntls); i++) {
        result = add_if(filter, DENIED, name, is_request(denied_fcntls[i]));
    }
    return result;
}

/* To others; and limits of others: one that is exceeded is a signal. */
static int deny_signals(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp set_limit[] = {
        SCMP_A0(SCMP_CMP_NE, 0), SCMP_A2(SCMP_CMP_NE, 0),
    };
    int result = add_all(filter, DENIED, signal_calls,
                         G_N_ELEMENTS(signal_calls));

    for (size_t i = 0; result == 0 && i < G_N_ELEMENTS(process_calls); i++) {
        result = add_if(filter, DENIED, process_calls[i],
                        SCMP_A0(SCMP_CMP_NE, getpid()));
    }
    result = result ? result : deny_fcntl(filter, "fcntl");
    result = result ? result : deny_fcntl(filter, "fcntl64");
    return result ? result : add(filter, DENIED, "prlimit64", 2, set_limit);
}

static int fill_plugin(scmp_filter_ctx filter)
{
    int result = add_all(filter, DENIED, exec_calls, G_N_ELEMENTS(exec_calls));

    result = result ? result : add_all(filter, DENIED, connect_calls,
                                       G_N_ELEMENTS(connect_calls));
    /* To an address.  That of sendmsg, which TLS needs, is in memory. */
    result = result ? result : add_if(filter, DENIED, "sendto",
                                      SCMP_A4(SCMP_CMP_NE, 0));
    result = result ? result : deny_file_changes(filter);
    result = result ? result : deny_signals(filter);
    for (size_t i = 0; result == 0 && i < G_N_ELEMENTS(denied_ioctls); i++) {
        result = add_if(filter, DENIED, "ioctl", is_request(denied_ioctls[i]));
    }
    return result ? result : add_all(filter, SCMP_ACT_KILL_PROCESS, attacks,
                                     G_N_ELEMENTS(attacks));
}

bool confine_seccomp_enter(ConfineKind kind)
{
    bool program = kind == CONFINE_PROGRAM;
    scmp_filter_ctx filter = seccomp_init(program ? DENIED : SCMP_ACT_ALLOW);
    int result;

    if (!filter) {
        errno = ENOMEM;
        return false;
    }
    result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* Calls of another ABI have other numbers; not only the thread ends. */
    result = result ? result : seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
                                                SCMP_ACT_KILL_PROCESS);
    /* For speed; an older library or kernel does without. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    result = result ? result : program ? fill_program(filter)
                                       : fill_plugin(filter);
    result = result ? result : seccomp_load(filter);
    seccomp_release(filter);
    errno = -result;
    return result == 0;
}

#else /* !HAVE_LIBSECCOMP */

const char *confine_seccomp_missing(void)
{
    return "built without libseccomp";
}

bool confine_seccomp_enter(ConfineKind kind)
{
    (void)kind;
    return true;
}

#endif
