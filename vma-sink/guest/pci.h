/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a guest of Proxmox VE sees its devices on the PCI buses.  A guest knows
 * them by that: a network card that has moved has another name in Linux, and is a
 * new one to Windows.  (The facts are those of PCI.pm, in Proxmox VE's
 * qemu-server.)
 *
 * Buses 0 to 4 are the main one and bridges; on a q35 all are bridges behind one
 * at slot 30 of the root, after four root ports.
 */
#ifndef GUEST_PCI_H
#define GUEST_PCI_H

#include <stdbool.h>

#include "guest/guest.h"

#define GUEST_PCI_BUSES 5u

typedef enum GuestPciKind {
    GUEST_PCI_BALLOON,
    GUEST_PCI_WATCHDOG,
    GUEST_PCI_SCSI,             /* a controller of many disks */
    GUEST_PCI_SCSI_SINGLE,      /* of one */
    GUEST_PCI_SATA,
    GUEST_PCI_AGENT,
    GUEST_PCI_DISK,             /* virtio */
    GUEST_PCI_NIC,
    GUEST_PCI_RNG,
    GUEST_PCI_AUDIO,
} GuestPciKind;

typedef struct GuestPci {
    unsigned bus;
    unsigned slot;
} GuestPci;

/* INDEX is within what a configuration can have. */
GuestPci guest_pci(GuestPciKind kind, unsigned index);

/* Where bus BUS, from 1 on, is, on a PC that is no q35; bus 4 on both. */
GuestPci guest_pci_bridge(unsigned bus);

/* Whether there is such a bridge: not all are where nothing is on them. */
bool guest_pci_has_bus(const Guest *guest, unsigned bus);

#endif /* GUEST_PCI_H */
