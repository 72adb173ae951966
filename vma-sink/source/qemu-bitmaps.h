/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty bitmaps that begin at the point in time of a backup: QEMU marks in them
 * what the guest writes from then on.  See incremental.md for their use.
 *
 * Until the backup is stored they have names of ours (qemu-claim.h), by which
 * the next vma-dump removes those of one that was killed.  Then they get the
 * user's name, all at once.  So where that name is, there is a backup.
 */
#ifndef SOURCE_QEMU_BITMAPS_H
#define SOURCE_QEMU_BITMAPS_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

#include "source/qemu-claim.h"
#include "source/qmp.h"

typedef struct QemuBitmaps QemuBitmaps;

/* Whether a bitmap can have this name. */
bool qemu_bitmaps_name_is_valid(const char *name);

/*
 * For DISKS, an array of QemuDisk, which is borrowed as all else.  Changes
 * nothing in QEMU.  An error where one of the disks has a bitmap of that NAME,
 * or can't have one.  Tells the user which disks keep theirs in memory only.
 */
QemuBitmaps *qemu_bitmaps_new(Qmp *qmp, const QemuClaim *claim,
                              GPtrArray *disks, const char *name,
                              GError **error);
void qemu_bitmaps_free(QemuBitmaps *bitmaps);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuBitmaps, qemu_bitmaps_free)

/* What makes them, for the transaction that sets the point in time. */
void qemu_bitmaps_add_actions(const QemuBitmaps *bitmaps, JsonArray *actions);

/*
 * After it: the arguments of a transaction that gives them their name, by which
 * they are kept,
 */
JsonObject *qemu_bitmaps_encode_keep(const QemuBitmaps *bitmaps);

/* or removes them. */
bool qemu_bitmaps_remove(const QemuBitmaps *bitmaps, GError **error);

#endif /* SOURCE_QEMU_BITMAPS_H */
