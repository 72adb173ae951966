/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an archive's configuration to a guest, part by part, and what is left.
 */
#include "guest/guest.h"

#include <string.h>

#include "backup/error.h"
#include "backup/file-names.h"
#include "guest/read.h"

static void disk_free(void *data)
{
    GuestDisk *disk = data;

    g_free(disk->key);
    g_free(disk->file);
    g_free(disk->serial);
    g_free(disk->model);
    g_free(disk->vendor);
    g_free(disk->product);
    g_free(disk->wwn);
    g_free(disk);
}

static void nic_free(void *data)
{
    GuestNic *nic = data;

    g_free(nic->key);
    g_free(nic->mac);
    g_free(nic);
}

static void flag_clear(void *data)
{
    g_free(((GuestFlag *)data)->name);
}

static Guest *make_guest(void)
{
    Guest *guest = g_new0(Guest, 1);

    guest->cpu_flags = g_array_new(FALSE, TRUE, sizeof(GuestFlag));
    g_array_set_clear_func(guest->cpu_flags, flag_clear);
    guest->nodes = g_array_new(FALSE, TRUE, sizeof(GuestNode));
    guest->smbios = g_ptr_array_new_with_free_func(g_free);
    guest->disks = g_ptr_array_new_with_free_func(disk_free);
    guest->nics = g_ptr_array_new_with_free_func(nic_free);
    guest->vga_serial = -1;
    return guest;
}

void guest_free(Guest *guest)
{
    if (!guest) {
        return;
    }
    g_array_unref(guest->cpu_flags);
    g_array_unref(guest->nodes);
    g_ptr_array_unref(guest->smbios);
    g_ptr_array_unref(guest->disks);
    g_ptr_array_unref(guest->nics);
    g_free(guest->name);
    g_free(guest->machine);
    g_free(guest->cpu_model);
    g_free(guest->uefi_vars);
    g_free(guest->uuid);
    g_free(guest->tpm_file);
    g_free(guest);
}

void guest_read_rest(GuestReader *reader, const char *key,
                     const GuestSettings *settings)
{
    g_autofree char *rest = guest_settings_rest(settings);

    if (rest) {
        guest_notes_add(reader->notes, "not translated: of %s: %s", key, rest);
    }
}

/* As Proxmox VE calls it, where no line of the configuration says. */
static const BackupDevice *find_by_key(GuestReader *reader, const char *key)
{
    g_autofree char *drive = g_strconcat("drive-", key, NULL);
    g_autofree char *backup = g_strconcat(drive, "-backup", NULL);
    const char *const names[] = { drive, key, backup };

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const BackupDevice *device = backup_info_find_device(reader->info,
                                                             names[i]);

        if (device) {
            return device;
        }
    }
    return NULL;
}

const BackupDevice *guest_read_device(GuestReader *reader, const char *key)
{
    const char *name = g_hash_table_lookup(reader->config->disks, key);
    const BackupDevice *device = name
        ? backup_info_find_device(reader->info, name)
        : find_by_key(reader, key);

    if (device && !guest_text_is_valid(device->name)) {
        guest_notes_add(reader->notes, "changed: %s is left out: its disk '%s' "
                        "has a name that can't be written", key, device->name);
        return NULL;
    }
    /* One image is the disk of one drive. */
    if (device && !g_hash_table_add(reader->used, device->name)) {
        guest_notes_add(reader->notes, "changed: %s is left out: its disk '%s' "
                        "has a place already", key, device->name);
        return NULL;
    }
    return device;
}

char *guest_read_file(GuestReader *reader, const BackupDevice *device)
{
    g_autofree char *file = backup_disk_file(device->name);

    return g_build_filename(reader->folder, file, NULL);
}

/* Why some are left, by the beginnings of their names. */
static const struct {
    const char *key;
    const char *reason;
} reasons[] = {
    { "args", "it may run any program: look at it, and add by hand what you "
              "want" },
    { "hookscript", "a program of the old host" },
    { "hostpci", "a device of the old host" },
    { "usb", "a device of the old host" },
    { "parallel", "a device of the old host" },
    { "serial", "a device of the old host" },
    { "virtiofs", "a folder of the old host" },
    { "unused", "a volume that the guest does not use" },
    { "onboot", "for Proxmox VE itself" },
    { "startup", "for Proxmox VE itself" },
    { "protection", "for Proxmox VE itself" },
    { "hotplug", "for Proxmox VE itself" },
    { "template", "for Proxmox VE itself" },
    { "tags", "for Proxmox VE itself" },
    { "meta", "for Proxmox VE itself" },
    { "lock", "for Proxmox VE itself" },
    { "parent", "for Proxmox VE itself" },
    { "shares", "for Proxmox VE itself" },
    { "migrate_", "for Proxmox VE itself" },
    { "ci", "for the drive of cloud-init, which is not in the archive" },
    { "ipconfig", "for the drive of cloud-init, which is not in the archive" },
    { "sshkeys", "for the drive of cloud-init, which is not in the archive" },
    { "nameserver", "for the drive of cloud-init, which is not in the archive" },
    { "searchdomain",
      "for the drive of cloud-init, which is not in the archive" },
};

static const char *find_reason(const char *key)
{
    for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++) {
        if (g_str_has_prefix(key, reasons[i].key)) {
            return reasons[i].reason;
        }
    }
    return NULL;
}

static void note_settings(GuestReader *reader)
{
    const GPtrArray *list = reader->config->settings->list;

    for (guint i = 0; i < list->len; i++) {
        const GuestSetting *setting = g_ptr_array_index(list, i);
        const char *reason = find_reason(setting->name);

        if (setting->taken) {
            continue;
        }
        /* A password stays where it is. */
        guest_notes_add(reader->notes, "not translated: '%s: %s'%s%s",
                        setting->name,
                        g_str_has_prefix(setting->name, "cipassword")
                        ? "..." : setting->value,
                        reason ? ": " : "", reason ? reason : "");
    }
}

static void note_disks(GuestReader *reader)
{
    for (guint i = 0; i < reader->info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(reader->info->devices,
                                                       i);

        if (!g_hash_table_contains(reader->used, device->name)) {
            guest_notes_add(reader->notes, "not translated: the archive's disk "
                            "'%s' is none of the configuration",
                            device->name);
        }
    }
}

Guest *guest_new(const BackupInfo *info, const char *name, const char *folder,
                 GuestNotes *notes, GError **error)
{
    const BackupConfig *text = backup_info_find_config(info, name);
    g_autoptr(GHashTable) used = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GuestConfig) config = NULL;
    g_autoptr(Guest) guest = NULL;
    GuestReader reader;

    if (!text) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the archive has no config '%s'", name);
        return NULL;
    }
    config = guest_config_parse(text->data, notes, error);
    if (!config) {
        return NULL;
    }
    guest = make_guest();
    reader = (GuestReader) {
        .guest = guest,
        .config = config,
        .info = info,
        .folder = folder,
        .notes = notes,
        .used = used,
    };
    if (!guest_read_machine(&reader, error)) {
        return NULL;
    }
    guest_read_cpu(&reader);
    guest_read_disks(&reader);
    guest_read_nics(&reader);
    guest_read_devices(&reader);
    guest_read_boot(&reader);
    note_settings(&reader);
    note_disks(&reader);
    return g_steal_pointer(&guest);
}
