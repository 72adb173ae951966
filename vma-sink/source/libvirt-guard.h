/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches a backup of libvirt's, whatever the stream's reader does meanwhile: a
 * thread that notices when it was ended by somebody, and ends it itself when a
 * scratch image takes more than it may, or when there is no room for it.
 *
 * In the latter case QEMU has paused the guest, before it has seen an error:
 * the guest goes on once the backup has ended.
 */
#ifndef SOURCE_LIBVIRT_GUARD_H
#define SOURCE_LIBVIRT_GUARD_H

#include <glib.h>
#include <stdbool.h>

#include "source/libvirt-guest.h"
#include "source/libvirt-scratch.h"

typedef struct LibvirtGuard LibvirtGuard;

/*
 * Starts it; all are borrowed.  DISKS, of LibvirtDisk, are those of the images.
 * FOLDER is for messages.  RESUME: a pause because of an I/O error is to be
 * dealt with, for the guest was not in one before.  NULL: there can be no
 * thread.
 */
LibvirtGuard *libvirt_guard_new(LibvirtGuest *guest,
                                const LibvirtScratch *scratch,
                                const GPtrArray *disks, const char *folder,
                                bool resume, GError **error);
void libvirt_guard_free(LibvirtGuard *guard);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibvirtGuard, libvirt_guard_free)

/*
 * Why the backup has ended, to be freed; NULL: it has not, as far as is known.
 */
char *libvirt_guard_failure(LibvirtGuard *guard);

#endif /* SOURCE_LIBVIRT_GUARD_H */
