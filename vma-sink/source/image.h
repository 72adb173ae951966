/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A raw disk image, in a file or on a block device.
 */
#ifndef SOURCE_IMAGE_H
#define SOURCE_IMAGE_H

#include <glib.h>
#include <stdbool.h>

#include "source/disk.h"

/*
 * NULL with kind USAGE where PATH is neither a regular file nor a block device,
 * or where it starts like an image in another format than raw.
 * NULL with kind FAILED where a QEMU has it open for writing (io/disk-lock.h),
 * or where it is a block device that is mounted or part of another one, which it
 * can't become as long as it is open here.
 *
 * disk_send() also fails if the file has changed since it was opened, or if at
 * its end a QEMU has it open for writing.  A block device that something else
 * writes to is not noticed.
 */
Disk *image_open(const char *path, const DiskOptions *options, GError **error);

#endif /* SOURCE_IMAGE_H */
