/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Places of devices on the PCI buses.
 */
#include "guest/pci.h"

GuestPci guest_pci(GuestPciKind kind, unsigned index)
{
    switch (kind) {
    case GUEST_PCI_BALLOON:
        return (GuestPci) { 0, 3 };
    case GUEST_PCI_WATCHDOG:
        return (GuestPci) { 0, 4 };
    case GUEST_PCI_SCSI:
        return index < 2 ? (GuestPci) { 0, 5 + index }
                         : (GuestPci) { 4, index - 1 };
    case GUEST_PCI_SCSI_SINGLE:
        return (GuestPci) { 3, 1 + index };
    case GUEST_PCI_SATA:
        return (GuestPci) { 0, 7 };
    case GUEST_PCI_AGENT:
        return (GuestPci) { 0, 8 };
    case GUEST_PCI_DISK:
        return index < 6 ? (GuestPci) { 0, 10 + index }
                         : (GuestPci) { 2, index - 5 };
    case GUEST_PCI_NIC:
        return index < 6 ? (GuestPci) { 0, 18 + index }
                         : (GuestPci) { 1, index - 5 };
    case GUEST_PCI_RNG:
        return (GuestPci) { 1, 29 };
    case GUEST_PCI_AUDIO:
        return (GuestPci) { 2, 12 };
    }
    return (GuestPci) { 0, 0 };
}

GuestPci guest_pci_bridge(unsigned bus)
{
    static const GuestPci bridges[GUEST_PCI_BUSES] = {
        [1] = { 0, 30 },
        [2] = { 0, 31 },
        [3] = { 0, 5 },
        [4] = { 1, 28 },
    };

    return bridges[bus];
}

/* The third to fifth of the controllers that hold seven disks each. */
static bool has_many_lsi(const Guest *guest)
{
    for (guint i = 0; i < guest->disks->len; i++) {
        const GuestDisk *disk = g_ptr_array_index(guest->disks, i);

        if (disk->bus == GUEST_BUS_SCSI &&
            disk->index >= 2 * GUEST_LSI_DISKS && guest_has_lsi(guest)) {
            return true;
        }
    }
    return false;
}

bool guest_pci_has_bus(const Guest *guest, unsigned bus)
{
    if (bus == 4) {
        return has_many_lsi(guest);
    }
    /* Where the third would be there is another controller otherwise. */
    return guest->q35 || bus != 3 || guest->scsi == GUEST_SCSI_VIRTIO_SINGLE;
}
