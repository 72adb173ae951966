/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as a command that starts it: its drives.
 */
#include "guest/qemu.h"

/* What holds the data; a drive that is empty has none. */
static void add_image(GuestCommand *command, const GuestDisk *disk)
{
    g_autofree char *path = guest_qemu_path(disk->file);
    GString *parts = guest_parts_new("if=none,format=raw");

    guest_parts_put(parts, "id", "drive-%s", disk->key);
    guest_parts_put(parts, "file", "%s", path);
    if (disk->cache) {
        guest_parts_put(parts, "cache", "%s", disk->cache);
    }
    if (disk->aio) {
        guest_parts_put(parts, "aio", "%s", disk->aio);
    }
    if (disk->discard) {
        guest_parts_put(parts, "discard", "unmap");
    }
    if (disk->detect_zeroes) {
        guest_parts_put(parts, "detect-zeroes", disk->discard ? "unmap" : "on");
    }
    if (disk->read_only || disk->cdrom) {
        guest_parts_put(parts, "readonly", "on");
    }
    guest_command_add_parts(command, "-drive", parts);
}

static void put_looks(GString *parts, const GuestDisk *disk)
{
    const struct {
        const char *name;
        const char *value;
    } texts[] = {
        { "serial", disk->serial },
        { "model", disk->cdrom ? NULL : disk->model },
        { "vendor", disk->vendor },
        { "product", disk->product },
        { "wwn", disk->wwn },
        { "rerror", disk->file ? disk->rerror : NULL },
        { "werror", disk->file ? disk->werror : NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i].value) {
            guest_parts_put(parts, texts[i].name, "%s", texts[i].value);
        }
    }
    if (disk->ssd && !disk->cdrom) {
        guest_parts_put(parts, "rotation_rate", "1");
    }
    if (disk->boot > 0) {
        guest_parts_put(parts, "bootindex", "%u", 99 + disk->boot);
    }
}

static void add_iothread(GuestCommand *command, GString *parts,
                         const GuestDisk *disk)
{
    if (disk->iothread) {
        g_autofree char *object = g_strdup_printf("iothread,id=iothread-%s",
                                                  disk->key);

        guest_command_add(command, "-object", object);
        guest_parts_put(parts, "iothread", "iothread-%s", disk->key);
    }
}

static const char *controller_device(const Guest *guest)
{
    static const char *const devices[] = {
        [GUEST_SCSI_LSI] = "lsi",
        [GUEST_SCSI_LSI53C810] = "lsi53c810",
        [GUEST_SCSI_VIRTIO] = "virtio-scsi-pci",
        [GUEST_SCSI_VIRTIO_SINGLE] = "virtio-scsi-pci",
        [GUEST_SCSI_MEGASAS] = "megasas",
        [GUEST_SCSI_PVSCSI] = "pvscsi",
    };

    return devices[guest->scsi];
}

/* The controller of the disk; its first one adds it.  Its name is to be freed. */
static char *add_controller(GuestCommand *command, const Guest *guest,
                            const GuestDisk *disk, GHashTable *controllers)
{
    bool single = guest->scsi == GUEST_SCSI_VIRTIO_SINGLE;
    unsigned number = guest_scsi_number(guest, disk);
    char *id = g_strdup_printf("%s%u", single ? "virtioscsi" : "scsihw",
                               number);
    GString *parts;

    if (g_hash_table_contains(controllers, id)) {
        return id;
    }
    g_hash_table_add(controllers, g_strdup(id));
    parts = guest_parts_new(controller_device(guest));
    guest_parts_put(parts, "id", "%s", id);
    guest_qemu_put_place(parts, guest_pci(single ? GUEST_PCI_SCSI_SINGLE
                                                 : GUEST_PCI_SCSI, number));
    if (single) {
        add_iothread(command, parts, disk);
        if (disk->queues > 0) {
            guest_parts_put(parts, "num_queues", "%" G_GUINT64_FORMAT,
                            disk->queues);
        }
    }
    guest_command_add_parts(command, "-device", parts);
    return id;
}

static GString *scsi_parts(GuestCommand *command, const Guest *guest,
                           const GuestDisk *disk, GHashTable *controllers)
{
    g_autofree char *id = add_controller(command, guest, disk, controllers);
    GString *parts = guest_parts_new(disk->cdrom ? "scsi-cd" : "scsi-hd");

    guest_parts_put(parts, "bus", "%s.0", id);
    if (guest_has_lsi(guest) || guest->scsi == GUEST_SCSI_PVSCSI) {
        guest_parts_put(parts, "scsi-id", "%u", guest_has_lsi(guest)
                        ? disk->index % GUEST_LSI_DISKS : disk->index);
    } else {
        guest_parts_put(parts, "channel", "0");
        guest_parts_put(parts, "scsi-id", "0");
        guest_parts_put(parts, "lun", "%u", disk->index);
    }
    return parts;
}

static GString *virtio_parts(GuestCommand *command, const GuestDisk *disk)
{
    GString *parts = guest_parts_new("virtio-blk-pci");

    guest_qemu_put_place(parts, guest_pci(GUEST_PCI_DISK, disk->index));
    add_iothread(command, parts, disk);
    return parts;
}

/* (A q35 has one disk on each.) */
static GString *ide_parts(const Guest *guest, const GuestDisk *disk)
{
    GString *parts = guest_parts_new(disk->cdrom ? "ide-cd" : "ide-hd");
    unsigned unit = disk->index % 2;

    guest_parts_put(parts, "bus", "ide.%u",
                    disk->index / 2 + (guest->q35 ? 2 * unit : 0));
    guest_parts_put(parts, "unit", "%u", guest->q35 ? 0 : unit);
    return parts;
}

static GString *sata_parts(GuestCommand *command, const GuestDisk *disk,
                           GHashTable *controllers)
{
    GString *parts;

    if (g_hash_table_add(controllers, g_strdup("ahci0"))) {
        parts = guest_parts_new("ahci,id=ahci0,multifunction=on");
        guest_qemu_put_place(parts, guest_pci(GUEST_PCI_SATA, 0));
        guest_command_add_parts(command, "-device", parts);
    }
    parts = guest_parts_new(disk->cdrom ? "ide-cd" : "ide-hd");
    guest_parts_put(parts, "bus", "ahci0.%u", disk->index);
    return parts;
}

static void add_disk(GuestCommand *command, const Guest *guest,
                     const GuestDisk *disk, GHashTable *controllers)
{
    GString *parts = NULL;

    switch (disk->bus) {
    case GUEST_BUS_SCSI:
        parts = scsi_parts(command, guest, disk, controllers);
        break;
    case GUEST_BUS_VIRTIO:
        parts = virtio_parts(command, disk);
        break;
    case GUEST_BUS_IDE:
        parts = ide_parts(guest, disk);
        break;
    case GUEST_BUS_SATA:
        parts = sata_parts(command, disk, controllers);
        break;
    }
    if (disk->file) {
        add_image(command, disk);
        guest_parts_put(parts, "drive", "drive-%s", disk->key);
    }
    guest_parts_put(parts, "id", "%s", disk->key);
    put_looks(parts, disk);
    guest_command_add_parts(command, "-device", parts);
}

void guest_qemu_add_disks(GuestCommand *command, const Guest *guest)
{
    g_autoptr(GHashTable) controllers =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < guest->disks->len; i++) {
        add_disk(command, guest, g_ptr_array_index(guest->disks, i),
                 controllers);
    }
}
