/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine: its type, memory, clock, firmware, and what it says that it is.
 */
#include "guest/read.h"

#include <string.h>

#include "backup/error.h"

#define MEMORY_DEFAULT_MIB 512u
#define MEMORY_MAX_MIB ((uint64_t)1 << 24)      /* 16 TiB */
#define NAME_MAX_CHARACTERS 63u
#define NAME_DEFAULT "vm"

/* A name of DNS. */
static bool is_name(const char *text)
{
    return guest_text_is_plain(text, NAME_MAX_CHARACTERS, "-.") &&
           g_ascii_isalnum(*text);
}

static void read_name(GuestReader *r)
{
    const char *name = guest_settings_take_valid(r->config->settings, "name",
                                                 is_name);

    r->guest->name = g_strdup(name ? name : NAME_DEFAULT);
}

/* pc, q35, pc-i440fx-9.2, pc-q35-9.2, pc-9.2; without Proxmox's own +pve1. */
static bool is_machine(const char *text)
{
    static const char *const kinds[] = { "pc-i440fx-", "pc-q35-", "pc-" };

    if (g_str_equal(text, "pc") || g_str_equal(text, "q35")) {
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_str_has_prefix(text, kinds[i])) {
            const char *version = text + strlen(kinds[i]);

            return strlen(version) <= 8 && strchr(version, '.') &&
                   strspn(version, "0123456789.") == strlen(version);
        }
    }
    return false;
}

/* What QEMU's own is called, of TYPE; NULL: none.  To be freed. */
static char *machine_type(const char *type)
{
    const char *plus = strchr(type, '+');
    g_autofree char *plain = g_strndup(type, plus ? (gsize)(plus - type)
                                                  : strlen(type));

    if (plus && (!g_str_has_prefix(plus, "+pve") ||
                 !guest_text_is_plain(plus, 16, "+."))) {
        return NULL;
    }
    /* One with other ROMs, of long ago. */
    if (g_str_has_suffix(plain, ".pxe")) {
        plain[strlen(plain) - strlen(".pxe")] = '\0';
    }
    return is_machine(plain) ? g_steal_pointer(&plain) : NULL;
}

static void read_machine_type(GuestReader *r)
{
    const char *text = guest_settings_take(r->config->settings, "machine");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "", "type");
    const char *type = guest_settings_look(s, "type");

    r->guest->machine = type ? machine_type(type) : NULL;
    if (r->guest->machine) {
        guest_settings_take(s, "type");
    } else {
        r->guest->machine = g_strdup("pc");
    }
    r->guest->q35 = strstr(r->guest->machine, "q35") != NULL;
    if (strchr(r->guest->machine, '.')) {
        guest_notes_add(r->notes, "look: a QEMU that does not know '%s' is too "
                        "old, or too new; then take '%s'", r->guest->machine,
                        r->guest->q35 ? "q35" : "pc");
    }
    guest_read_rest(r, "machine", s);
}

static void read_memory(GuestReader *r)
{
    GuestSettings *s = r->config->settings;
    const char *text = guest_settings_look(s, "memory");
    g_autoptr(GuestSettings) parts = guest_settings_parse(text ? text : "",
                                                          "current");
    uint64_t balloon = UINT64_MAX;

    r->guest->memory_mib = MEMORY_DEFAULT_MIB;
    if (guest_settings_take_number(parts, "current", 16, MEMORY_MAX_MIB,
                                   &r->guest->memory_mib)) {
        guest_settings_take(s, "memory");
        guest_read_rest(r, "memory", parts);
    }
    guest_settings_take_number(s, "balloon", 0, MEMORY_MAX_MIB, &balloon);
    r->guest->balloon = balloon > 0;
    if (balloon > 0 && balloon < r->guest->memory_mib) {
        r->guest->balloon_mib = balloon;
    }
}

static bool is_windows_type(const char *type)
{
    static const char *const types[] = {
        "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10",
        "win11", NULL,
    };

    return g_strv_contains(types, type);
}

/* From before Vista: they know of no other than the oldest devices. */
static bool is_old_windows(const char *type)
{
    static const char *const types[] = { "wxp", "w2k", "w2k3", NULL };

    return g_strv_contains(types, type);
}

static void read_system(GuestReader *r)
{
    static const char *const types[] = {
        "other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8",
        "win10", "win11", "l24", "l26", "solaris", NULL,
    };
    Guest *guest = r->guest;
    GuestSettings *s = r->config->settings;
    const char *type = guest_settings_take_word(s, "ostype", types);

    guest->vga = "std";
    if (type && is_windows_type(type)) {
        guest->windows = true;
        guest->no_hpet = !is_old_windows(type);
        guest->vga = is_old_windows(type) ? "cirrus" : "std";
        guest->local_time = true;
        guest->drift_fix = guest->acpi;
    }
    guest_settings_take_flag(s, "localtime", &guest->local_time);
    guest_settings_take_flag(s, "tdf", &guest->drift_fix);
}

/* The text of a field of SMBIOS; NULL: none that can go on. */
static char *smbios_text(const char *value, bool base64)
{
    g_autofree char *text = NULL;
    g_autofree guchar *bytes = NULL;
    gsize size;

    if (!base64) {
        return g_strdup(value);
    }
    bytes = g_base64_decode(value, &size);
    text = g_strndup((char *)bytes, size);
    return strlen(text) == size && size > 0 && guest_text_is_valid(text)
           ? g_steal_pointer(&text) : NULL;
}

static void read_smbios(GuestReader *r)
{
    static const char *const fields[] = {
        "manufacturer", "product", "version", "serial", "sku", "family",
    };
    const char *text = guest_settings_take(r->config->settings, "smbios1");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "", NULL);
    bool base64 = false;

    guest_settings_take_flag(s, "base64", &base64);
    r->guest->uuid = g_strdup(guest_settings_take_valid(s, "uuid",
                                                        guest_text_is_uuid));
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
        const char *value = guest_settings_look(s, fields[i]);
        char *plain = value ? smbios_text(value, base64) : NULL;

        if (plain) {
            guest_settings_take(s, fields[i]);
            g_ptr_array_add(r->guest->smbios, g_strdup(fields[i]));
            g_ptr_array_add(r->guest->smbios, plain);
        }
    }
    guest_read_rest(r, "smbios1", s);
}

static bool is_generation_id(const char *text)
{
    return guest_text_is_uuid(text) || g_str_equal(text, "1");
}

/* A restored guest has a new one, so that it notices that it is one. */
static void read_generation_id(GuestReader *r)
{
    GuestSettings *s = r->config->settings;
    uint64_t none;

    if (guest_settings_take_valid(s, "vmgenid", is_generation_id)) {
        r->guest->generation_id = true;
        guest_notes_add(r->notes, "changed: vmgenid: the guest gets a new one");
    } else {
        guest_settings_take_number(s, "vmgenid", 0, 0, &none);
    }
}

/* What of a disk of variables is used, as the firmware's own are. */
#define VARS_2M_BYTES ((uint64_t)128 << 10)
#define VARS_4M_BYTES ((uint64_t)528 << 10)

static void read_uefi_vars(GuestReader *r)
{
    static const char *const types[] = { "2m", "4m", NULL };
    Guest *guest = r->guest;
    const char *text = guest_settings_take(r->config->settings, "efidisk0");
    g_autoptr(GuestSettings) s = guest_settings_parse(text ? text : "", "file");
    const char *type = guest_settings_take_word(s, "efitype", types);
    const BackupDevice *device = guest_read_device(r, "efidisk0");

    guest->uefi_4m = g_strcmp0(type, "4m") == 0;
    guest->uefi_vars_bytes = guest->uefi_4m ? VARS_4M_BYTES : VARS_2M_BYTES;
    /* What they say is in the variables themselves. */
    guest_settings_take(s, "file");
    guest_settings_take(s, "size");
    guest_settings_take(s, "format");
    guest_settings_take(s, "pre-enrolled-keys");
    guest_settings_take(s, "ms-cert");
    guest_read_rest(r, "efidisk0", s);
    if (!device || device->size_bytes < guest->uefi_vars_bytes) {
        guest_notes_add(r->notes, "changed: the firmware begins with no "
                        "variables, such as what to boot: %s%s",
                        device ? "the disk is too small for them: efidisk0: "
                               : "the archive has no efidisk0: ",
                        text ? text : "there is none");
        return;
    }
    guest->uefi_vars = guest_read_file(r, device);
    guest->uefi_vars_longer = device->size_bytes > guest->uefi_vars_bytes;
}

static void read_firmware(GuestReader *r)
{
    static const char *const kinds[] = { "seabios", "ovmf", NULL };
    const char *kind = guest_settings_take_word(r->config->settings, "bios",
                                                kinds);

    r->guest->uefi = g_strcmp0(kind, "ovmf") == 0;
    if (r->guest->uefi) {
        read_uefi_vars(r);
    }
}

bool guest_read_machine(GuestReader *r, GError **error)
{
    static const char *const arches[] = { "x86_64", NULL };
    GuestSettings *s = r->config->settings;
    Guest *guest = r->guest;
    const char *arch = guest_settings_look(s, "arch");
    uint64_t zero;

    if (arch && !guest_settings_take_word(s, "arch", arches)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the configuration is of a machine '%s': only x86_64 can "
                    "be translated", arch);
        return false;
    }
    guest->kvm = guest->acpi = guest->reboot = true;
    guest_settings_take_flag(s, "kvm", &guest->kvm);
    guest_settings_take_flag(s, "acpi", &guest->acpi);
    guest_settings_take_flag(s, "reboot", &guest->reboot);
    guest_settings_take_flag(s, "freeze", &guest->frozen);
    /* What these say is so anyway. */
    guest_settings_take_number(s, "cpulimit", 0, 0, &zero);
    read_name(r);
    read_machine_type(r);
    read_memory(r);
    read_system(r);
    read_smbios(r);
    read_generation_id(r);
    read_firmware(r);
    return true;
}
