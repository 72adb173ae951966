/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What vma-dump has made in a QEMU, told by its names, so that it can be taken
 * down again, also after a vma-dump that was killed.
 *
 * The names have a prefix of their own for every monitor.  A monitor has one
 * client at a time, so what has the prefix of the monitor that we are connected
 * to was made by us or by a client that is gone.  What has the prefix of
 * another monitor may be in use by another vma-dump, and is left alone.
 */
#ifndef SOURCE_QEMU_CLAIM_H
#define SOURCE_QEMU_CLAIM_H

#include <glib.h>
#include <stdbool.h>

#include "source/qmp.h"

/* What a name stands for; taken down in this order. */
typedef enum QemuKind {
    QEMU_EXPORT = 'e',          /* an NBD export */
    QEMU_SNAPSHOT = 's',        /* a node, as are those that follow */
    QEMU_JOB = 'j',             /* a job, which ends with its filter */
    QEMU_FILTER = 'c',
    QEMU_GUARD = 'g',
    QEMU_NULL = 'n',
    QEMU_IMAGE = 't',
    QEMU_LIMIT = 'l',
    QEMU_FILE = 'f',
    QEMU_SERVER = 'm',          /* the NBD server's mark */
    QEMU_BITMAP = 'b',          /* a dirty bitmap, see below */
} QemuKind;

typedef struct QemuClaim QemuClaim;

/* SOCKET is the path of the monitor QMP, which is borrowed.  Does nothing. */
QemuClaim *qemu_claim_new(Qmp *qmp, const char *socket, GError **error);
void qemu_claim_free(QemuClaim *claim);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuClaim, qemu_claim_free)

/*
 * The name of the INDEXth thing of a kind, fit for a node and a job.  No other
 * run has the same: some events are held back for a second, and would otherwise
 * be taken for those of a later one.
 */
char *qemu_claim_name(const QemuClaim *claim, QemuKind kind, unsigned index);

/* Whether a name may be one of a vma-dump's, on whatever monitor. */
bool qemu_claim_is_ours(const char *name);

/* What marks a set of descriptors (add-fd) as ours; owned by the claim. */
const char *qemu_claim_mark(const QemuClaim *claim);

/* Which of its kind has this NAME; false: none that this run has made. */
bool qemu_claim_index(const QemuClaim *claim, QemuKind kind, const char *name,
                      unsigned *index);

/*
 * Removes all that there is, whoever of us has made it.  What can't be removed
 * within seconds is an error.  The NBD server is stopped if its mark is there.
 * Of dirty bitmaps those of this run stay (qemu-bitmaps.h).
 */
bool qemu_claim_release(QemuClaim *claim, GError **error);

/*
 * Adds to *error, which is why a backup has failed, that this has failed for
 * REASON, too.  Where it is NULL the backup has not failed, nor has it for this:
 * the user is warned.
 */
void qemu_claim_extend_error(GError **error, const GError *reason);

#endif /* SOURCE_QEMU_CLAIM_H */
