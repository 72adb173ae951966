/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Temporary files and folders that a process killed outright has left behind,
 * and how to tell them from those that somebody is still writing.
 *
 * Who creates one claims it: it is locked (flock), and then marked, in an
 * extended attribute, with the boot of the kernel that runs its writer and the
 * file system's number, and with the machine where the file system can't be in
 * use on two at a time.  One that is marked with these and is not locked is
 * surely nobody's; so is one of an earlier boot of the same machine.  Of any
 * other, a look can't tell: it is on a network or there are no attributes, or
 * its writer runs, or ran, on another machine, or sees the folder by another way.
 */
#ifndef IO_STALE_H
#define IO_STALE_H

#include <stdbool.h>

/* Whether FD's file system may be across a network: a lock may take long. */
bool io_is_remote(int fd);

/*
 * Claims the new file or folder that FD is open on, until FD and its duplicates
 * are closed.  Across a network, and without locks, nothing is claimed.
 */
void io_claim(int fd);

/*
 * Removes the mark, once the name is final.  That needs no sync: a mark that
 * stays means nothing under such a name.
 */
void io_claim_unmark(int fd);

/* PATH was REMOVED, or is left over as far as a look can tell. */
typedef void IoStaleFunc(const char *path, bool removed, void *opaque);

/*
 * Looks through the folder that PATH is in for temporary files and folders, of
 * any name's, and removes those that are surely nobody's.  Those of other users
 * are none of our business.  A folder that can't be read is no error here.  FUNC
 * may be NULL.
 */
void io_stale_remove(const char *path, IoStaleFunc *func, void *opaque);

#endif /* IO_STALE_H */
