/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent of a guest of libvirt, for freeze.h.
 */
#ifndef SOURCE_LIBVIRT_FREEZE_H
#define SOURCE_LIBVIRT_FREEZE_H

#include "source/freeze.h"
#include "source/libvirt-guest.h"

/*
 * Makes sure that the agent answers; freezes nothing.  NAME is the guest's, and
 * URI its libvirt's or NULL; all are borrowed.
 */
Freeze *libvirt_freeze_new(LibvirtGuest *guest, const char *uri,
                           const char *name, Progress *progress,
                           FreezeSignalFunc *on_signal, void *opaque,
                           GError **error);

#endif /* SOURCE_LIBVIRT_FREEZE_H */
