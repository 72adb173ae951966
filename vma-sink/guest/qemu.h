/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of guest_print_qemu().
 */
#ifndef GUEST_QEMU_H
#define GUEST_QEMU_H

#include "guest/command.h"
#include "guest/guest.h"
#include "guest/pci.h"

/* "bus=pci.1,addr=0x1d" */
void guest_qemu_put_place(GString *parts, GuestPci place);

/*
 * A path that QEMU takes for one: the beginning of "a:b/c" would be a protocol.
 * To be freed.
 */
char *guest_qemu_path(const char *path);

void guest_qemu_add_disks(GuestCommand *command, const Guest *guest);
void guest_qemu_add_nics(GuestCommand *command, const Guest *guest,
                         const GuestPrint *print, GuestNotes *notes);
/* Displays, serial lines, and whatever else there is. */
void guest_qemu_add_devices(GuestCommand *command, const Guest *guest,
                            const GuestPrint *print, GuestNotes *notes);

#endif /* GUEST_QEMU_H */
