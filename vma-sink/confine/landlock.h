/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Landlock: what may be done to which files.  See landlock(7).
 */
#ifndef CONFINE_LANDLOCK_H
#define CONFINE_LANDLOCK_H

#include <glib.h>
#include <stdbool.h>

typedef enum ConfineAccess {
    CONFINE_READ,
    CONFINE_WRITE,              /* and read */
    CONFINE_CHANGE,             /* of a folder: all but devices and the like */
    CONFINE_RENAME_FILES,       /* within a folder, and remove them */
    CONFINE_RENAME_FOLDERS,     /* the same */
    CONFINE_REMOVE_FILES,       /* from a folder */
    CONFINE_REMOVE_FOLDERS,     /* the same */
} ConfineAccess;

/*
 * Why there is none; NULL: there is.  Some let a program ask for it and nothing
 * else: so each of its calls is tried, the last one only by who has given up new
 * privileges, as it takes that.
 */
const char *confine_landlock_missing(void);

/* Of the running kernel's, from 1 on.  Negative: errno is set. */
int confine_landlock_version(void);

/* Of rules, with none in it yet: a descriptor.  -1: errno is set. */
int confine_landlock_new(void);

/*
 * What can't be looked up is left out.  False: the system is short of memory or
 * descriptors; errno is set.
 */
bool confine_landlock_add(int rules_fd, const char *path, ConfineAccess access);

/* Needs no new privileges.  False: errno is set. */
bool confine_landlock_enter(int rules_fd);

#endif /* CONFINE_LANDLOCK_H */
