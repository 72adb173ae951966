/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Temporary images for what a guest overwrites while it is backed up.
 *
 * Each is a file without a name in the user's folder, made here and passed to
 * QEMU, which needs no rights there.  So nothing of it is left once QEMU and
 * vma-dump have closed it, however they end.  In QEMU it is a qcow2 image: it
 * grows with what is in it, also where a file can't have holes.
 */
#ifndef SOURCE_FLEECING_H
#define SOURCE_FLEECING_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "source/qemu-claim.h"
#include "source/qmp.h"

typedef struct Fleecing Fleecing;

/* No image is of use with less. */
#define FLEECING_MIN_BYTES (UINT64_C(1) << 20)

/*
 * FOLDER and CLAIM are borrowed.  Each image takes no more than LIMIT_BYTES
 * (what has to be written then fails); 0: what the file system has room for.
 */
Fleecing *fleecing_new(Qmp *qmp, const QemuClaim *claim, const char *folder,
                       uint64_t limit_bytes);

/* After qemu_claim_release(): the files can be emptied when they are closed. */
void fleecing_set_unused(Fleecing *fleecing);

/* Closes the files. */
void fleecing_free(Fleecing *fleecing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fleecing, fleecing_free)

/*
 * Makes an empty image for a disk of so many bytes.  Its node is the one called
 * qemu_claim_name(claim, QEMU_IMAGE, index).
 */
bool fleecing_add(Fleecing *fleecing, unsigned index, uint64_t disk_bytes,
                  GError **error);

#endif /* SOURCE_FLEECING_H */
