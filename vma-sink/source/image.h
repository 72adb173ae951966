/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A raw disk image, in a file or on a block device, as a source of a stream.
 * Nobody may write to it meanwhile: there is no snapshot here.
 */
#ifndef SOURCE_IMAGE_H
#define SOURCE_IMAGE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"
#include "cli/progress.h"
#include "wire/writer.h"

typedef struct Image Image;

/* What all images of a backup have sent, for the progress. */
typedef struct ImageTotals {
    uint64_t done_bytes;
    uint64_t zero_bytes;        /* of done_bytes */
    uint64_t total_bytes;       /* set by the caller: sum of the sizes */
} ImageTotals;

/*
 * False with kind USAGE where PATH is neither a regular file nor a block
 * device, or where it starts like an image in another format than raw and
 * ANY_CONTENT is false.
 */
Image *image_open(const char *path, bool any_content, GError **error);
void image_free(Image *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Image, image_free)

/*
 * The size of the disk: the file's, rounded up to whole sectors of 512 bytes
 * as QEMU does; what the file lacks, image_padding_bytes(), reads as zeroes.
 */
uint64_t image_size_bytes(const Image *image);
unsigned image_padding_bytes(const Image *image);

/*
 * Sends all clusters and the device's end.  DEVICE has this image's size.
 * False also if the image has changed since it was opened.
 */
bool image_send(Image *image, WireWriter *writer, const BackupDevice *device,
                ImageTotals *totals, Progress *progress, GError **error);

#endif /* SOURCE_IMAGE_H */
