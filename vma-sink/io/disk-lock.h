/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which disks a QEMU has open, and telling it of ours.  QEMU locks each image
 * that it opens with a filename, be it a file or a block device (unless told
 * not to: file.locking=off).  The locks belong to the open descriptor and end
 * with it.
 *
 * They are advice: one that does not look for them is not stopped, and where
 * the file system has no locks nothing is known.  A block device's locks are
 * those of its node: a QEMU that has opened another node of it (in a container,
 * for instance) is not seen.
 */
#ifndef IO_DISK_LOCK_H
#define IO_DISK_LOCK_H

#include <glib.h>
#include <stdbool.h>

/*
 * Locks a disk as a writer that shares it with nobody, for as long as FD, which
 * can be read, is open: no QEMU can open it meanwhile.  False, of kind FAILED:
 * somebody else has it open.  The errors name the cause alone, as in io/io.h.
 */
bool io_disk_lock_write(int fd, GError **error);

/*
 * For a reader; takes no lock.  False, of kind FAILED: somebody has it open for
 * writing, now.
 */
bool io_disk_check_unused(int fd, GError **error);

#endif /* IO_DISK_LOCK_H */
