/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The drives.  What was a volume of Proxmox VE's storage is the image that was
 * restored from the archive, raw; what is not in the archive is left out.
 */
#include "guest/read.h"

#include <string.h>

/* What Proxmox VE's own have, in bytes. */
#define SERIAL_MAX_BYTES 20u
#define MODEL_MAX_BYTES 40u
#define VENDOR_MAX_BYTES 8u
#define PRODUCT_MAX_BYTES 16u
#define QUEUES_MAX 1024u

static const struct {
    const char *prefix;
    GuestBus bus;
    unsigned count;
} buses[] = {
    { "ide", GUEST_BUS_IDE, 4 },
    { "scsi", GUEST_BUS_SCSI, 31 },
    { "virtio", GUEST_BUS_VIRTIO, 16 },
    { "sata", GUEST_BUS_SATA, 6 },
};

static bool is_wwn(const char *text)
{
    return strlen(text) == 18 && g_str_has_prefix(text, "0x") &&
           strspn(text + 2, "0123456789abcdefABCDEF") == 16;
}

static bool is_vendor(const char *text)
{
    return guest_text_is_plain(text, VENDOR_MAX_BYTES, "-_ ");
}

static bool is_product(const char *text)
{
    return guest_text_is_plain(text, PRODUCT_MAX_BYTES, "-_ ");
}

/* One that is encoded as in a URL. */
static char *take_encoded(GuestSettings *s, const char *name, size_t max)
{
    const char *value = guest_settings_look(s, name);
    g_autofree char *text = value ? guest_text_decode(value) : NULL;

    if (!text || strlen(text) > max) {
        return NULL;
    }
    guest_settings_take(s, name);
    return g_steal_pointer(&text);
}

static bool has_iothread(const GuestReader *r, const GuestDisk *disk)
{
    return disk->bus == GUEST_BUS_VIRTIO ||
           (disk->bus == GUEST_BUS_SCSI &&
            r->guest->scsi == GUEST_SCSI_VIRTIO_SINGLE);
}

/* What it asks of the kernel goes past its cache only. */
static void check_native(GuestReader *r, GuestDisk *disk)
{
    if (g_strcmp0(disk->aio, "native") != 0 ||
        g_strcmp0(disk->cache, "directsync") == 0) {
        return;
    }
    if (disk->cache && !g_str_equal(disk->cache, "none")) {
        guest_notes_add(r->notes, "changed: %s: with aio=native it is "
                        "cache=none, not cache=%s", disk->key, disk->cache);
    }
    disk->cache = "none";
}

static void read_speed(GuestReader *r, GuestDisk *disk, GuestSettings *s)
{
    static const char *const caches[] = {
        "none", "writethrough", "writeback", "unsafe", "directsync", NULL,
    };
    static const char *const aios[] = {
        "native", "threads", "io_uring", NULL,
    };

    disk->cache = guest_settings_take_word(s, "cache", caches);
    disk->aio = guest_settings_take_word(s, "aio", aios);
    check_native(r, disk);
    guest_settings_take_flag(s, "detect_zeroes", &disk->detect_zeroes);
    if (has_iothread(r, disk)) {
        guest_settings_take_flag(s, "iothread", &disk->iothread);
    }
    if (disk->bus == GUEST_BUS_SCSI &&
        r->guest->scsi == GUEST_SCSI_VIRTIO_SINGLE) {
        guest_settings_take_number(s, "queues", 2, QUEUES_MAX, &disk->queues);
    }
}

/* What the guest sees of it. */
static void read_looks(GuestDisk *disk, GuestSettings *s)
{
    static const char *const on[] = { "on", "ignore", NULL };
    static const char *const rerrors[] = { "ignore", "report", "stop", NULL };
    static const char *const werrors[] = { "enospc", "ignore", "report",
                                           "stop", NULL };
    const char *discard = guest_settings_take_word(s, "discard", on);
    bool ata = disk->bus == GUEST_BUS_IDE || disk->bus == GUEST_BUS_SATA;

    disk->discard = g_strcmp0(discard, "on") == 0;
    disk->rerror = guest_settings_take_word(s, "rerror", rerrors);
    disk->werror = guest_settings_take_word(s, "werror", werrors);
    disk->serial = take_encoded(s, "serial", SERIAL_MAX_BYTES);
    if (disk->bus != GUEST_BUS_VIRTIO) {
        guest_settings_take_flag(s, "ssd", &disk->ssd);
        disk->wwn = g_strdup(guest_settings_take_valid(s, "wwn", is_wwn));
    }
    if (ata) {
        disk->model = take_encoded(s, "model", MODEL_MAX_BYTES);
    } else {
        guest_settings_take_flag(s, "ro", &disk->read_only);
    }
    if (disk->bus == GUEST_BUS_SCSI) {
        disk->vendor = g_strdup(guest_settings_take_valid(s, "vendor",
                                                          is_vendor));
        disk->product = g_strdup(guest_settings_take_valid(s, "product",
                                                           is_product));
    }
}

/* False: there is no image for it, and it is to be left out. */
static bool find_image(GuestReader *r, GuestDisk *disk, const char *volume,
                       const char *text)
{
    const BackupDevice *device = guest_read_device(r, disk->key);

    if (device) {
        disk->file = guest_read_file(r, device);
        return true;
    }
    if (!disk->cdrom) {
        guest_notes_add(r->notes, "not translated: '%s: %s': the archive has no "
                        "disk for it", disk->key, text);
        return false;
    }
    if (!g_str_equal(volume, "none")) {
        guest_notes_add(r->notes, "changed: %s is an empty drive: '%s' %s",
                        disk->key, volume, strstr(volume, "cloudinit")
                        ? "is made by Proxmox VE, of its own settings"
                        : "is not in the archive");
    }
    return true;
}

static void read_disk(GuestReader *r, GuestBus bus, unsigned index, char *key)
{
    static const char *const media[] = { "disk", "cdrom", NULL };
    const char *text = guest_settings_take(r->config->settings, key);
    g_autoptr(GuestSettings) s = guest_settings_parse(text, "file");
    GuestDisk *disk = g_new0(GuestDisk, 1);
    const char *volume;

    disk->key = key;
    disk->bus = bus;
    disk->index = index;
    disk->cdrom = g_strcmp0(guest_settings_take_word(s, "media", media),
                            "cdrom") == 0;
    volume = guest_settings_take(s, "file");
    if (!volume) {
        volume = guest_settings_take(s, "volume");
    }
    /* The image has its own of these. */
    guest_settings_take(s, "size");
    guest_settings_take(s, "format");
    read_speed(r, disk, s);
    read_looks(disk, s);
    /* (It belongs to the list, and is freed with it, from here on.) */
    g_ptr_array_add(r->guest->disks, disk);
    if (disk->cdrom && bus == GUEST_BUS_VIRTIO) {
        guest_notes_add(r->notes, "not translated: '%s: %s': there is no CD-ROM "
                        "drive of that kind", key, text);
        g_ptr_array_remove(r->guest->disks, disk);
    } else if (!find_image(r, disk, volume ? volume : "", text)) {
        g_ptr_array_remove(r->guest->disks, disk);
    } else {
        guest_read_rest(r, key, s);
    }
}

static void read_controller(GuestReader *r)
{
    static const struct {
        const char *name;
        GuestScsi scsi;
    } controllers[] = {
        { "lsi", GUEST_SCSI_LSI },
        { "lsi53c810", GUEST_SCSI_LSI53C810 },
        { "virtio-scsi-pci", GUEST_SCSI_VIRTIO },
        { "virtio-scsi-single", GUEST_SCSI_VIRTIO_SINGLE },
        { "megasas", GUEST_SCSI_MEGASAS },
        { "pvscsi", GUEST_SCSI_PVSCSI },
    };
    GuestSettings *s = r->config->settings;
    const char *name = guest_settings_look(s, "scsihw");

    r->guest->scsi = GUEST_SCSI_LSI;
    for (size_t i = 0; name && i < G_N_ELEMENTS(controllers); i++) {
        if (g_str_equal(name, controllers[i].name)) {
            guest_settings_take(s, "scsihw");
            r->guest->scsi = controllers[i].scsi;
        }
    }
}

void guest_read_disks(GuestReader *r)
{
    read_controller(r);
    for (size_t i = 0; i < G_N_ELEMENTS(buses); i++) {
        for (unsigned n = 0; n < buses[i].count; n++) {
            char *key = g_strdup_printf("%s%u", buses[i].prefix, n);

            if (guest_settings_look(r->config->settings, key)) {
                read_disk(r, buses[i].bus, n, key);
            } else {
                g_free(key);
            }
        }
    }
}
