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
 * False with kind USAGE where PATH is neither a regular file nor a block
 * device, or where it starts like an image in another format than raw and
 * ANY_CONTENT is false.
 *
 * disk_send() also fails if the file has changed since it was opened.
 */
Disk *image_open(const char *path, bool any_content, GError **error);

#endif /* SOURCE_IMAGE_H */
