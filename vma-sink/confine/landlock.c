/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that the running kernel's Landlock knows is handled, and so denied
 * where no rule permits it: opening, making, renaming and removing files,
 * ioctl() on devices (from version 5 on), TCP (4), abstract sockets and signals
 * to others (6).  What else changes a file is left to seccomp.
 * What was opened before stays usable.
 *
 * The kernel's header may be older than the kernel, so what it would define
 * stands here.
 */
#include "confine/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on all architectures that came before them. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

/* What is done to files; the first version that has them. */
#define FS_EXECUTE      (UINT64_C(1) << 0)
#define FS_WRITE_FILE   (UINT64_C(1) << 1)
#define FS_READ_FILE    (UINT64_C(1) << 2)
#define FS_READ_DIR     (UINT64_C(1) << 3)
#define FS_REMOVE_DIR   (UINT64_C(1) << 4)
#define FS_REMOVE_FILE  (UINT64_C(1) << 5)
#define FS_MAKE_DIR     (UINT64_C(1) << 7)
#define FS_MAKE_REG     (UINT64_C(1) << 8)
#define FS_MAKE_SYM     (UINT64_C(1) << 12)
#define FS_VERSION_1    ((UINT64_C(1) << 13) - 1)
#define FS_REFER        (UINT64_C(1) << 13)     /* 2 */
#define FS_TRUNCATE     (UINT64_C(1) << 14)     /* 3 */
#define FS_IOCTL_DEV    (UINT64_C(1) << 15)     /* 5 */

#define NET_ALL         UINT64_C(3)     /* 4: bind and connect by TCP */
#define SCOPE_ALL       UINT64_C(3)     /* 6: abstract sockets, signals */

/* The kernel takes a longer one than it knows if the rest is zero. */
typedef struct Ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
} Ruleset;

typedef struct PathBeneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed)) PathBeneath;

_Static_assert(sizeof(PathBeneath) == 12, "the kernel's layout");

static const uint64_t file_rights[] = {
    [CONFINE_READ] = FS_READ_FILE,
    [CONFINE_WRITE] = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE |
                      FS_IOCTL_DEV,
    [CONFINE_CHANGE] = FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE,
    [CONFINE_RENAME_FILES] = 0,
    [CONFINE_RENAME_FOLDERS] = 0,
    [CONFINE_REMOVE_FILES] = 0,
    [CONFINE_REMOVE_FOLDERS] = 0,
};

static const uint64_t folder_rights[] = {
    [CONFINE_READ] = FS_READ_DIR,
    [CONFINE_WRITE] = FS_READ_DIR,
    [CONFINE_CHANGE] = FS_READ_DIR | FS_REMOVE_DIR | FS_REMOVE_FILE |
                       FS_MAKE_DIR | FS_MAKE_REG | FS_REFER |
                       /* One is moved where it stands for a folder. */
                       FS_MAKE_SYM,
    /* A new name is made; without FS_REFER, in the same folder only. */
    [CONFINE_RENAME_FILES] = FS_REMOVE_FILE | FS_MAKE_REG | FS_MAKE_SYM,
    [CONFINE_RENAME_FOLDERS] = FS_REMOVE_DIR | FS_MAKE_DIR,
    [CONFINE_REMOVE_FILES] = FS_REMOVE_FILE,
    [CONFINE_REMOVE_FOLDERS] = FS_REMOVE_DIR,
};

int confine_landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0,
                   CREATE_RULESET_VERSION);
}

static uint64_t handled_fs(int abi)
{
    return FS_VERSION_1 | (abi >= 2 ? FS_REFER : 0) |
           (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
}

int confine_landlock_new(void)
{
    int abi = confine_landlock_version();
    const Ruleset ruleset = {
        .fs = handled_fs(abi),
        .net = abi >= 4 ? NET_ALL : 0,
        .scoped = abi >= 6 ? SCOPE_ALL : 0,
    };

    return syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
}

/* Of a call that failed: what it was asked is right, and may be done later. */
static bool is_short_of(void)
{
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM;
}

bool confine_landlock_add(int rules_fd, const char *path, ConfineAccess access)
{
    /* A folder is opened as one, which mounts what is mounted when needed. */
    PathBeneath rule = { .fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) };
    struct stat st;
    bool ok;

    if (rule.fd < 0) {
        rule.fd = open(path, O_PATH | O_CLOEXEC);
    }
    if (rule.fd < 0) {
        return !is_short_of();
    }
    rule.allowed = file_rights[access];
    if (fstat(rule.fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        rule.allowed |= folder_rights[access];
    }
    rule.allowed &= handled_fs(confine_landlock_version());
    /* Pipes and the like take no rule, and need none. */
    ok = syscall(SYS_landlock_add_rule, rules_fd, RULE_PATH_BENEATH, &rule,
                 0) == 0 || !is_short_of();
    close(rule.fd);
    return ok;
}

bool confine_landlock_enter(int rules_fd)
{
    return syscall(SYS_landlock_restrict_self, rules_fd, 0) == 0;
}

/* --- Whether there is one --- */

/* Of a call that failed: by a filter of calls, such as that of a container. */
static bool is_denied(void)
{
    return errno == EPERM || errno == EACCES || errno == ENOSYS;
}

/* By rules that nobody is held to. */
static bool may_make_rules(void)
{
    PathBeneath rule = { .fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
                         .allowed = FS_READ_FILE };
    int rules_fd = confine_landlock_new();
    bool ok = (rules_fd >= 0 || !is_denied()) &&
              (rules_fd < 0 || rule.fd < 0 ||
               syscall(SYS_landlock_add_rule, rules_fd, RULE_PATH_BENEATH,
                       &rule, 0) == 0 || !is_denied());

    if (rules_fd >= 0) {
        close(rules_fd);
    }
    if (rule.fd >= 0) {
        close(rule.fd);
    }
    return ok;
}

/* By no rules: who may be held to some hears that these are no descriptor. */
static bool may_enter(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 ||
           confine_landlock_enter(-1) || !is_denied();
}

const char *confine_landlock_missing(void)
{
    if (confine_landlock_version() <= 0) {
        return errno == ENOSYS ? "the kernel has none" :
               errno == EOPNOTSUPP ? "it was not enabled when the kernel "
                                     "started"
                                   : "the system does not permit it";
    }
    return may_make_rules() && may_enter() ? NULL
           : "the system permits only a part of it";
}
