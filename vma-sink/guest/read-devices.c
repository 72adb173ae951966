/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks, displays, serial lines and the other devices; and in which order
 * there is booted from any of them.
 */
#include "guest/read.h"

#include <string.h>

#define NICS_MAX 32u
#define MTU_MAX 65520u
#define MTU_MIN 576u
#define VGA_MAX_MIB 512u

static bool is_mac(const char *text)
{
    for (unsigned i = 0; i < 17; i++) {
        if (i % 3 == 2 ? text[i] != ':' : !g_ascii_isxdigit(text[i])) {
            return false;
        }
    }
    return !text[17];
}

/* Of QEMU's; "virtio" is how Proxmox VE calls virtio-net-pci. */
static const char *const nic_models[] = {
    "virtio", "e1000", "e1000-82540em", "e1000-82544gc", "e1000-82545em",
    "e1000e", "i82551", "i82557b", "i82559er", "ne2k_pci", "pcnet", "rtl8139",
    "vmxnet3", NULL,
};

/* The model is a name whose value is the MAC address, or a value alone. */
static const char *read_model(GuestSettings *s, GuestNic *nic)
{
    for (const char *const *m = nic_models; *m; m++) {
        const char *mac = guest_settings_take_valid(s, *m, is_mac);

        if (mac) {
            nic->mac = g_strdup(mac);
            return *m;
        }
    }
    nic->mac = g_strdup(guest_settings_take_valid(s, "macaddr", is_mac));
    return guest_settings_take_word(s, "model", nic_models);
}

/* A group address is none of a card. */
static void check_mac(GuestReader *r, GuestNic *nic)
{
    if (nic->mac && (g_ascii_xdigit_value(nic->mac[1]) & 1)) {
        guest_notes_add(r->notes, "not translated: of %s: '%s' is an address of "
                        "a group", nic->key, nic->mac);
        g_clear_pointer(&nic->mac, g_free);
    }
}

static void read_nic(GuestReader *r, unsigned index, char *key)
{
    const char *text = guest_settings_take(r->config->settings, key);
    g_autoptr(GuestSettings) s = guest_settings_parse(text, "model");
    GuestNic *nic = g_new0(GuestNic, 1);

    nic->key = key;
    nic->index = index;
    g_ptr_array_add(r->guest->nics, nic);
    nic->model = read_model(s, nic);
    if (!nic->model) {
        guest_notes_add(r->notes, "not translated: '%s: %s': it has no model of "
                        "a card that is known", key, text);
        g_ptr_array_remove(r->guest->nics, nic);
        return;
    }
    check_mac(r, nic);
    guest_settings_take_number(s, "mtu", MTU_MIN, MTU_MAX, &nic->mtu);
    guest_settings_take_flag(s, "link_down", &nic->link_down);
    guest_read_rest(r, key, s);
}

void guest_read_nics(GuestReader *r)
{
    for (unsigned i = 0; i < NICS_MAX; i++) {
        char *key = g_strdup_printf("net%u", i);

        if (guest_settings_look(r->config->settings, key)) {
            read_nic(r, i, key);
        } else {
            g_free(key);
        }
    }
}

static void read_vga(GuestReader *r)
{
    static const char *const types[] = {
        "std", "cirrus", "qxl", "vmware", "virtio", "none", "serial0",
        "serial1", "serial2", "serial3", NULL,
    };
    static const struct {
        const char *name;
        const char *similar;
    } others[] = {
        { "qxl2", "qxl" }, { "qxl3", "qxl" }, { "qxl4", "qxl" },
        { "virtio-gl", "virtio" },
    };
    Guest *guest = r->guest;
    const char *text = guest_settings_take(r->config->settings, "vga");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "", "type");
    const char *type = guest_settings_take_word(s, "type", types);

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (g_strcmp0(guest_settings_look(s, "type"), others[i].name) == 0) {
            type = others[i].similar;
            guest_notes_add(r->notes, "changed: vga: '%s', not '%s'", type,
                            guest_settings_take(s, "type"));
        }
    }
    if (type && g_str_has_prefix(type, "serial")) {
        guest->vga = NULL;
        guest->vga_serial = type[strlen("serial")] - '0';
    } else if (type) {
        guest->vga = g_str_equal(type, "none") ? NULL : type;
    }
    if (g_strcmp0(guest->vga, "std") == 0) {
        guest_settings_take_number(s, "memory", 4, VGA_MAX_MIB,
                                   &guest->vga_mib);
    }
    guest_read_rest(r, "vga", s);
}

/* A socket of Proxmox VE's is a terminal here. */
static void read_serial(GuestReader *r)
{
    static const char *const kinds[] = { "socket", NULL };

    for (unsigned i = 0; i < G_N_ELEMENTS(r->guest->serial); i++) {
        g_autofree char *key = g_strdup_printf("serial%u", i);

        r->guest->serial[i] = guest_settings_take_word(r->config->settings,
                                                       key, kinds);
    }
    if (r->guest->vga_serial >= 0) {
        r->guest->serial[r->guest->vga_serial] = true;
    }
}

static void read_input(GuestReader *r)
{
    /* Of Proxmox VE's those that are files of QEMU's. */
    static const char *const keyboards[] = {
        "da", "de", "de-ch", "en-gb", "en-us", "es", "fi", "fr", "fr-be",
        "fr-ca", "fr-ch", "hu", "is", "it", "ja", "lt", "mk", "nl", "no", "pl",
        "pt", "pt-br", "sl", "sv", "tr", NULL,
    };
    GuestSettings *s = r->config->settings;

    /* A display of SPICE, or none, has no use for it. */
    r->guest->tablet = r->guest->vga && !g_str_equal(r->guest->vga, "qxl");
    guest_settings_take_flag(s, "tablet", &r->guest->tablet);
    r->guest->keyboard = guest_settings_take_word(s, "keyboard", keyboards);
}

static void read_agent(GuestReader *r)
{
    static const char *const types[] = { "virtio", "isa", NULL };
    const char *text = guest_settings_take(r->config->settings, "agent");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "",
                                                      "enabled");
    const char *type = guest_settings_take_word(s, "type", types);

    guest_settings_take_flag(s, "enabled", &r->guest->agent);
    r->guest->agent_isa = g_strcmp0(type, "isa") == 0;
    guest_read_rest(r, "agent", s);
}

static void read_rng(GuestReader *r)
{
    static const char *const sources[] = { "/dev/urandom", "/dev/random",
                                           NULL };
    Guest *guest = r->guest;
    const char *text = guest_settings_take(r->config->settings, "rng0");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "",
                                                      "source");

    guest->rng = text != NULL;
    guest->rng_bytes = 1024;
    guest->rng_period_ms = 1000;
    guest_settings_take_word(s, "source", sources);
    guest_settings_take_number(s, "max_bytes", 0, G_MAXINT32,
                               &guest->rng_bytes);
    guest_settings_take_number(s, "period", 1, G_MAXINT32,
                               &guest->rng_period_ms);
    guest_read_rest(r, "rng0", s);
}

static void read_watchdog(GuestReader *r)
{
    static const char *const models[] = { "i6300esb", "ib700", NULL };
    static const char *const actions[] = {
        "reset", "shutdown", "poweroff", "pause", "none", NULL,
    };
    const char *text = guest_settings_take(r->config->settings, "watchdog");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "",
                                                      "model");
    const char *model = guest_settings_take_word(s, "model", models);

    if (text) {
        r->guest->watchdog = model ? model : models[0];
    }
    r->guest->watchdog_action = guest_settings_take_word(s, "action", actions);
    guest_read_rest(r, "watchdog", s);
}

static void read_audio(GuestReader *r)
{
    static const char *const devices[] = {
        "ich9-intel-hda", "intel-hda", "AC97", NULL,
    };
    static const char *const drivers[] = { "spice", "none", NULL };
    const char *text = guest_settings_take(r->config->settings, "audio0");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "",
                                                      "device");
    const char *driver = guest_settings_take_word(s, "driver", drivers);

    r->guest->audio = guest_settings_take_word(s, "device", devices);
    if (r->guest->audio && g_strcmp0(driver, "none") != 0) {
        guest_notes_add(r->notes, "changed: audio0: nobody hears it");
    }
    guest_read_rest(r, "audio0", s);
}

static void read_tpm(GuestReader *r)
{
    static const char *const versions[] = { "v1.2", "v2.0", NULL };
    const char *text = guest_settings_take(r->config->settings, "tpmstate0");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "", "file");
    const char *version = guest_settings_take_word(s, "version", versions);
    const BackupDevice *device;

    if (!text) {
        return;
    }
    guest_settings_take(s, "file");
    guest_settings_take(s, "size");
    guest_settings_take(s, "format");
    guest_read_rest(r, "tpmstate0", s);
    r->guest->tpm = version ? version + 1 : "1.2";
    device = guest_read_device(r, "tpmstate0");
    if (device) {
        r->guest->tpm_file = guest_read_file(r, device);
    } else {
        guest_notes_add(r->notes, "not translated: 'tpmstate0: %s': the archive "
                        "has no disk for it", text);
    }
}

void guest_read_devices(GuestReader *r)
{
    read_vga(r);
    read_serial(r);
    read_input(r);
    read_agent(r);
    read_rng(r);
    read_watchdog(r);
    read_audio(r);
    read_tpm(r);
}

/* The place in the order of what KEY names; NULL: nothing that is there. */
static unsigned *find_boot(Guest *guest, const char *key)
{
    for (guint i = 0; i < guest->disks->len; i++) {
        GuestDisk *disk = g_ptr_array_index(guest->disks, i);

        if (g_str_equal(disk->key, key)) {
            return &disk->boot;
        }
    }
    for (guint i = 0; i < guest->nics->len; i++) {
        GuestNic *nic = g_ptr_array_index(guest->nics, i);

        if (g_str_equal(nic->key, key)) {
            return &nic->boot;
        }
    }
    return NULL;
}

/* "scsi0;ide2;net0" */
static void read_order(GuestReader *r, const char *order)
{
    g_auto(GStrv) keys = g_strsplit(order, ";", -1);
    unsigned place = 1;

    for (char **k = keys; *k; k++) {
        unsigned *boot = find_boot(r->guest, *k);

        if (boot && *boot == 0) {
            *boot = place++;
        } else if (**k && !boot) {
            guest_notes_add(r->notes, "not translated: boot: '%s' is not there",
                            *k);
        }
    }
}

/* The first disk, or CD-ROM drive, in Proxmox VE's order. */
static GuestDisk *first_disk(Guest *guest, bool cdrom)
{
    for (guint i = 0; i < guest->disks->len; i++) {
        GuestDisk *disk = g_ptr_array_index(guest->disks, i);

        if (disk->cdrom == cdrom) {
            return disk;
        }
    }
    return NULL;
}

static void boot_next(unsigned *boot, unsigned *place)
{
    if (boot && *boot == 0) {
        *boot = (*place)++;
    }
}

/* As it was before there was an order: letters, and the disk that c means. */
static void read_letters(GuestReader *r, const char *letters)
{
    Guest *guest = r->guest;
    const char *key = guest_settings_look(r->config->settings, "bootdisk");
    unsigned *boot = key ? find_boot(guest, key) : NULL;
    unsigned place = 1;
    GuestDisk *disk;

    if (boot) {
        guest_settings_take(r->config->settings, "bootdisk");
    }
    for (; *letters; letters++) {
        disk = *letters == 'c' || *letters == 'd'
               ? first_disk(guest, *letters == 'd') : NULL;
        if (*letters == 'c' && boot) {
            boot_next(boot, &place);
        } else if (disk) {
            boot_next(&disk->boot, &place);
        }
        for (guint i = 0; *letters == 'n' && i < guest->nics->len; i++) {
            GuestNic *nic = g_ptr_array_index(guest->nics, i);

            boot_next(&nic->boot, &place);
        }
    }
}

static bool is_letters(const char *text)
{
    return *text && strlen(text) <= 4 && strspn(text, "acdn") == strlen(text);
}

void guest_read_boot(GuestReader *r)
{
    const char *text = guest_settings_take(r->config->settings, "boot");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "",
                                                      "legacy");
    const char *letters = guest_settings_take_valid(s, "legacy", is_letters);
    const char *order = letters ? NULL : guest_settings_take(s, "order");

    if (order) {
        read_order(r, order);
    } else {
        read_letters(r, letters ? letters : "cdn");
    }
    guest_read_rest(r, "boot", s);
}
