/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a temporary file or folder becomes the one of its name: what output.c and
 * folder.c share.
 */
#ifndef IO_COMMIT_H
#define IO_COMMIT_H

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

#define IO_TEMP_SUFFIX ".partial"

/*
 * "NAME.XXXXXX.partial" in the folder of PATH, for mkostemps() and the like; to
 * be freed.
 */
char *io_temp_template(const char *path);

/*
 * Without the '/' that may be behind it: "vm1/" is in the same folder as "vm1",
 * and does not stand for what a link "vm1" leads to.  To be freed.
 */
char *io_strip_slashes(const char *path);

/*
 * What has the name already: 1 there is something, of *ST; 0 nothing; -1, of kind
 * FAILED: nothing ever can have it, as it is too long for instance.
 */
int io_look_at_name(const char *path, struct stat *st, GError **error);

/* The folder that PATH is in: to be synced, and closed; -1 on error. */
int io_open_parent(const char *path, GError **error);

/*
 * For who is going to make a temporary file in FD, the folder that PATH is in:
 * an append-only one takes it, and gives it no other name, nor lets go of it.
 */
bool io_check_parent_fd(int fd, const char *path, GError **error);

/* Makes durable under which names the folder that PATH is in has what. */
bool io_sync_parent(const char *path, GError **error);

/* The same of FD, of io_open_parent(): for who may not open it any more. */
bool io_sync_parent_fd(int fd, const char *path, GError **error);

/* As rename(), but fails with EEXIST where TO exists. */
int io_rename_new(const char *from, const char *to);

/* That a rename failed with ERRNUM, and what to do. */
void io_set_rename_error(GError **error, int errnum, const char *from,
                         const char *to);

#endif /* IO_COMMIT_H */
