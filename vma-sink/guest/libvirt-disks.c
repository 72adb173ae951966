/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as a domain of libvirt: its drives, and what they are connected to.
 */
#include "guest/libvirt.h"

#include <string.h>

typedef struct Drives {
    GuestXml *xml;
    const Guest *guest;
    GuestNotes *notes;
    GHashTable *controllers;    /* that are there; "scsi0" */
    unsigned hd;                /* names given away: hda, hdb ... */
    unsigned sd;
    unsigned vd;
    unsigned iothreads;
} Drives;

/* sda, sdb ... sdz, sdaa: to be freed. */
static char *device_name(const char *prefix, unsigned *next)
{
    unsigned number = (*next)++;

    if (number < 26) {
        return g_strdup_printf("%s%c", prefix, 'a' + (int)number);
    }
    return g_strdup_printf("%s%c%c", prefix, 'a' + (int)(number / 26 - 1),
                           'a' + (int)(number % 26));
}

/* What a <driver> of a disk or a controller has for it; NULL: none. */
static char *take_iothread(Drives *d, const GuestDisk *disk)
{
    return disk->iothread ? g_strdup_printf("%u", ++d->iothreads) : NULL;
}

static void add_scsi_controller(Drives *d, const GuestDisk *disk,
                                unsigned number)
{
    static const char *const models[] = {
        [GUEST_SCSI_LSI] = "lsilogic",
        [GUEST_SCSI_LSI53C810] = "lsilogic",
        [GUEST_SCSI_VIRTIO] = "virtio-scsi",
        [GUEST_SCSI_VIRTIO_SINGLE] = "virtio-scsi",
        [GUEST_SCSI_MEGASAS] = "lsisas1078",
        [GUEST_SCSI_PVSCSI] = "vmpvscsi",
    };
    bool single = d->guest->scsi == GUEST_SCSI_VIRTIO_SINGLE;
    g_autofree char *index = g_strdup_printf("%u", number);
    g_autofree char *id = g_strdup_printf("scsi%u", number);
    g_autofree char *iothread = NULL;
    g_autofree char *queues = NULL;

    if (!g_hash_table_add(d->controllers, g_strdup(id))) {
        return;
    }
    if (d->guest->scsi == GUEST_SCSI_LSI53C810 && number == 0) {
        guest_notes_add(d->notes, "changed: scsihw: libvirt has no lsi53c810: "
                        "lsi");
    }
    iothread = single ? take_iothread(d, disk) : NULL;
    queues = single && disk->queues > 0
             ? g_strdup_printf("%" G_GUINT64_FORMAT, disk->queues) : NULL;
    guest_xml_open(d->xml, "controller", "type", "scsi", "index", index,
                   "model", models[d->guest->scsi], NULL);
    if (iothread || queues) {
        guest_xml_empty(d->xml, "driver", "iothread", iothread, "queues",
                        queues, NULL);
    }
    guest_libvirt_add_place(d->xml, d->guest,
                            guest_pci(single ? GUEST_PCI_SCSI_SINGLE
                                             : GUEST_PCI_SCSI, number));
    guest_xml_close(d->xml);
}

/* A q35 has one of its own, which is no other's. */
static unsigned sata_controller(const Guest *guest)
{
    return guest->q35 ? 1 : 0;
}

static void add_controller(Drives *d, const GuestDisk *disk)
{
    if (disk->bus == GUEST_BUS_SCSI) {
        add_scsi_controller(d, disk, guest_scsi_number(d->guest, disk));
    } else if (disk->bus == GUEST_BUS_SATA &&
               g_hash_table_add(d->controllers, g_strdup("sata"))) {
        guest_xml_open(d->xml, "controller", "type", "sata", "index",
                       sata_controller(d->guest) ? "1" : "0", NULL);
        guest_libvirt_add_place(d->xml, d->guest,
                                guest_pci(GUEST_PCI_SATA, 0));
        guest_xml_close(d->xml);
    }
}

static void add_driver(Drives *d, const GuestDisk *disk)
{
    g_autofree char *iothread = disk->bus == GUEST_BUS_VIRTIO
                                ? take_iothread(d, disk) : NULL;
    const char *werror = disk->werror;

    if (g_strcmp0(werror, "enospc") == 0) {
        werror = "enospace";
    }
    guest_xml_empty(d->xml, "driver", "name", "qemu", "type", "raw",
                    "cache", disk->cache,
                    "error_policy", werror,
                    "rerror_policy", disk->rerror,
                    "io", disk->aio,
                    "discard", disk->discard ? "unmap" : NULL,
                    "iothread", iothread,
                    "detect_zeroes", !disk->detect_zeroes ? NULL
                                     : disk->discard ? "unmap" : "on", NULL);
}

static const char *bus_name(const Guest *guest, const GuestDisk *disk)
{
    switch (disk->bus) {
    case GUEST_BUS_IDE:
        return guest->q35 ? "sata" : "ide";
    case GUEST_BUS_SATA:
        return "sata";
    case GUEST_BUS_SCSI:
        return "scsi";
    case GUEST_BUS_VIRTIO:
        break;
    }
    return "virtio";
}

static void add_target(Drives *d, const GuestDisk *disk)
{
    const char *bus = bus_name(d->guest, disk);
    g_autofree char *name =
        disk->bus == GUEST_BUS_VIRTIO ? device_name("vd", &d->vd)
        : g_str_equal(bus, "ide") ? device_name("hd", &d->hd)
        : device_name("sd", &d->sd);

    guest_xml_empty(d->xml, "target", "dev", name, "bus", bus, "rotation_rate",
                    disk->ssd && !disk->cdrom ? "1" : NULL, NULL);
}

static void add_drive_address(GuestXml *xml, unsigned controller, unsigned bus,
                              unsigned target, unsigned unit)
{
    g_autofree char *c = g_strdup_printf("%u", controller);
    g_autofree char *b = g_strdup_printf("%u", bus);
    g_autofree char *t = g_strdup_printf("%u", target);
    g_autofree char *u = g_strdup_printf("%u", unit);

    guest_xml_empty(xml, "address", "type", "drive", "controller", c, "bus", b,
                    "target", t, "unit", u, NULL);
}

static void add_scsi_address(Drives *d, const GuestDisk *disk)
{
    unsigned controller = guest_scsi_number(d->guest, disk);

    if (guest_has_lsi(d->guest)) {
        add_drive_address(d->xml, controller, 0, 0,
                          disk->index % GUEST_LSI_DISKS);
    } else if (d->guest->scsi == GUEST_SCSI_PVSCSI) {
        add_drive_address(d->xml, controller, 0, disk->index, 0);
    } else {
        add_drive_address(d->xml, controller, 0, 0, disk->index);
    }
}

static void add_address(Drives *d, const GuestDisk *disk)
{
    unsigned unit = disk->index % 2;

    switch (disk->bus) {
    case GUEST_BUS_SCSI:
        add_scsi_address(d, disk);
        break;
    case GUEST_BUS_VIRTIO:
        guest_libvirt_add_place(d->xml, d->guest,
                                guest_pci(GUEST_PCI_DISK, disk->index));
        break;
    case GUEST_BUS_SATA:
        add_drive_address(d->xml, sata_controller(d->guest), 0, 0,
                          disk->index);
        break;
    case GUEST_BUS_IDE:
        if (d->guest->q35) {
            add_drive_address(d->xml, 0, 0, 0, disk->index / 2 + 2 * unit);
        } else {
            add_drive_address(d->xml, 0, disk->index / 2, 0, unit);
        }
        break;
    }
}

/* What libvirt lets a serial number have. */
static bool is_serial(const char *text)
{
    return guest_text_is_plain(text, strlen(text), "_.+- ");
}

static void add_looks(Drives *d, const GuestDisk *disk)
{
    if (disk->serial && is_serial(disk->serial)) {
        guest_xml_text(d->xml, "serial", disk->serial, NULL);
    } else if (disk->serial) {
        guest_notes_add(d->notes, "not translated: of %s: serial: libvirt does "
                        "not take '%s'", disk->key, disk->serial);
    }
    if (disk->wwn) {
        guest_xml_text(d->xml, "wwn", disk->wwn + 2, NULL);
    }
    if (disk->vendor) {
        guest_xml_text(d->xml, "vendor", disk->vendor, NULL);
    }
    if (disk->product) {
        guest_xml_text(d->xml, "product", disk->product, NULL);
    }
    if (disk->model) {
        guest_notes_add(d->notes, "not translated: of %s: model: libvirt has "
                        "no such thing", disk->key);
    }
}

static void add_disk(Drives *d, const GuestDisk *disk)
{
    g_autofree char *order = disk->boot > 0
                             ? g_strdup_printf("%u", disk->boot) : NULL;

    add_controller(d, disk);
    guest_xml_open(d->xml, "disk", "type", "file", "device",
                   disk->cdrom ? "cdrom" : "disk", NULL);
    add_driver(d, disk);
    if (disk->file) {
        guest_xml_empty(d->xml, "source", "file", disk->file, NULL);
    }
    add_target(d, disk);
    if (disk->read_only || disk->cdrom) {
        guest_xml_empty(d->xml, "readonly", NULL);
    }
    add_looks(d, disk);
    if (order) {
        guest_xml_empty(d->xml, "boot", "order", order, NULL);
    }
    add_address(d, disk);
    guest_xml_close(d->xml);
}

void guest_libvirt_add_disks(GuestXml *xml, const Guest *guest,
                             GuestNotes *notes)
{
    g_autoptr(GHashTable) controllers =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Drives drives = {
        .xml = xml,
        .guest = guest,
        .notes = notes,
        .controllers = controllers,
    };

    for (guint i = 0; i < guest->disks->len; i++) {
        add_disk(&drives, g_ptr_array_index(guest->disks, i));
    }
}
