/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of guest_print_libvirt().
 */
#ifndef GUEST_LIBVIRT_H
#define GUEST_LIBVIRT_H

#include "guest/guest.h"
#include "guest/pci.h"
#include "guest/settings.h"
#include "guest/xml.h"

/* <address type='pci' .../> */
void guest_libvirt_add_place(GuestXml *xml, const Guest *guest,
                             GuestPci place);

void guest_libvirt_add_disks(GuestXml *xml, const Guest *guest,
                             GuestNotes *notes);
void guest_libvirt_add_nics(GuestXml *xml, const Guest *guest,
                            const GuestPrint *print, GuestNotes *notes);
void guest_libvirt_add_devices(GuestXml *xml, const Guest *guest,
                               GuestNotes *notes);

#endif /* GUEST_LIBVIRT_H */
