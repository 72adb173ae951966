/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as a command that starts it: the machine itself, and the comments
 * before it.
 */
#include "guest/qemu.h"

#include <string.h>

/* Debian's, of the package ovmf; also of others. */
#define FIRMWARE_4M_SMM "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
#define FIRMWARE_4M "/usr/share/OVMF/OVMF_CODE_4M.fd"
#define FIRMWARE_2M "/usr/share/OVMF/OVMF_CODE.fd"

void guest_qemu_put_place(GString *parts, GuestPci place)
{
    guest_parts_put(parts, "bus", "pci.%u", place.bus);
    guest_parts_put(parts, "addr", "0x%x", place.slot);
}

char *guest_qemu_path(const char *path)
{
    return path[strcspn(path, ":/")] == ':' ? g_strconcat("./", path, NULL)
                                            : g_strdup(path);
}

/* The one with SMM does not come up where there is no flash for variables. */
const char *guest_firmware(const Guest *guest)
{
    if (!guest->uefi_4m) {
        return FIRMWARE_2M;
    }
    return guest->q35 && guest->uefi_vars ? FIRMWARE_4M_SMM : FIRMWARE_4M;
}

static void add_machine(GuestCommand *command, const Guest *guest)
{
    GString *parts = guest_parts_new(guest->machine);

    if (!guest->acpi) {
        guest_parts_put(parts, "acpi", "off");
    }
    if (guest->no_hpet) {
        guest_parts_put(parts, "hpet", "off");
    }
    guest_command_add_parts(command, "-machine", parts);
    guest_command_add(command, "-accel", guest->kvm ? "kvm" : "tcg");
}

static void add_cpu(GuestCommand *command, const Guest *guest)
{
    unsigned max = guest->sockets * guest->cores;
    GString *parts = guest_parts_new(guest->cpu_model);

    for (guint i = 0; i < guest->cpu_flags->len; i++) {
        const GuestFlag *flag = &g_array_index(guest->cpu_flags, GuestFlag, i);

        g_string_append_printf(parts, ",%c%s", flag->on ? '+' : '-',
                               flag->name);
    }
    if (guest->cpu_hidden) {
        guest_parts_put(parts, "kvm", "off");
    }
    guest_command_add_parts(command, "-cpu", parts);
    parts = g_string_new(NULL);
    g_string_printf(parts, "%u,sockets=%u,cores=%u,threads=1,maxcpus=%u",
                    guest->vcpus, guest->sockets, guest->cores, max);
    guest_command_add_parts(command, "-smp", parts);
}

static void add_memory(GuestCommand *command, const Guest *guest)
{
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT,
                                            guest->memory_mib);

    guest_command_add(command, "-m", size);
    for (guint i = 0; i < guest->nodes->len; i++) {
        const GuestNode *node = &g_array_index(guest->nodes, GuestNode, i);
        GString *parts = guest_parts_new("memory-backend-ram");

        guest_parts_put(parts, "id", "ram-node%u", i);
        guest_parts_put(parts, "size", "%" G_GUINT64_FORMAT "M",
                        node->memory_mib);
        guest_command_add_parts(command, "-object", parts);
        parts = guest_parts_new("node");
        guest_parts_put(parts, "nodeid", "%u", i);
        guest_parts_put(parts, "cpus", "%u-%u", node->first_cpu,
                        node->last_cpu);
        guest_parts_put(parts, "memdev", "ram-node%u", i);
        guest_command_add_parts(command, "-numa", parts);
    }
}

static void add_firmware(GuestCommand *command, const Guest *guest,
                         GuestNotes *notes)
{
    GString *parts;

    if (!guest->uefi) {
        return;
    }
    guest_notes_add(notes, "look: the firmware is '%s', as Debian's package "
                    "ovmf has it", guest_firmware(guest));
    parts = guest_parts_new("if=pflash,unit=0,format=raw,readonly=on");
    guest_parts_put(parts, "file", "%s", guest_firmware(guest));
    guest_command_add_parts(command, "-drive", parts);
    if (guest->uefi_vars) {
        g_autofree char *path = guest_qemu_path(guest->uefi_vars);

        parts = guest_parts_new("if=pflash,unit=1,format=raw");
        guest_parts_put(parts, "file", "%s", path);
        if (guest->uefi_vars_longer) {
            guest_parts_put(parts, "size", "%" G_GUINT64_FORMAT,
                            guest->uefi_vars_bytes);
        }
        guest_command_add_parts(command, "-drive", parts);
    }
}

static void add_smbios(GuestCommand *command, const Guest *guest)
{
    GString *parts = guest_parts_new("type=1");

    if (guest->uuid) {
        guest_parts_put(parts, "uuid", "%s", guest->uuid);
    }
    for (guint i = 0; i + 1 < guest->smbios->len; i += 2) {
        guest_parts_put(parts, g_ptr_array_index(guest->smbios, i), "%s",
                        (char *)g_ptr_array_index(guest->smbios, i + 1));
    }
    if (guest->uuid || guest->smbios->len > 0) {
        guest_command_add_parts(command, "-smbios", parts);
    } else {
        g_string_free(parts, TRUE);
    }
    if (guest->generation_id) {
        guest_command_add(command, "-device", "vmgenid,guid=auto");
    }
}

static void add_clock(GuestCommand *command, const Guest *guest)
{
    GString *parts = guest_parts_new(NULL);

    if (guest->local_time) {
        guest_parts_put(parts, "base", "localtime");
    }
    if (guest->drift_fix) {
        guest_parts_put(parts, "driftfix", "slew");
    }
    if (parts->len > 0) {
        guest_command_add_parts(command, "-rtc", parts);
    } else {
        g_string_free(parts, TRUE);
    }
}

static void add_bridge(GuestCommand *command, const char *device,
                       const char *id, const char *bus, unsigned slot,
                       unsigned chassis)
{
    GString *parts = guest_parts_new(device);

    guest_parts_put(parts, "id", "%s", id);
    if (chassis > 0) {
        guest_parts_put(parts, "chassis_nr", "%u", chassis);
    }
    guest_parts_put(parts, "bus", "%s", bus);
    guest_parts_put(parts, "addr", "0x%x", slot);
    guest_command_add_parts(command, "-device", parts);
}

/* Before all that is on them, and the root ports to give buses their numbers. */
static void add_q35_bridges(GuestCommand *command)
{
    for (unsigned i = 0; i < 4; i++) {
        GString *parts = guest_parts_new("pcie-root-port");

        guest_parts_put(parts, "id", "ich9-pcie-port-%u", i + 1);
        guest_parts_put(parts, "multifunction", "on");
        guest_parts_put(parts, "bus", "pcie.0");
        guest_parts_put(parts, "addr", "0x1c.%u", i);
        guest_parts_put(parts, "port", "%u", i + 1);
        guest_parts_put(parts, "chassis", "%u", i + 1);
        guest_command_add_parts(command, "-device", parts);
    }
    add_bridge(command, "i82801b11-bridge", "pcidmi", "pcie.0", 0x1e, 0);
    for (unsigned i = 0; i < 4; i++) {
        g_autofree char *id = g_strdup_printf("pci.%u", i);

        add_bridge(command, "pci-bridge", id, "pcidmi", i + 1, i + 1);
    }
}

static void add_bridges(GuestCommand *command, const Guest *guest)
{
    if (guest->q35) {
        add_q35_bridges(command);
    }
    for (unsigned i = guest->q35 ? 4 : 1; i < GUEST_PCI_BUSES; i++) {
        GuestPci place = guest_pci_bridge(i);
        g_autofree char *id = g_strdup_printf("pci.%u", i);
        g_autofree char *bus = g_strdup_printf("pci.%u", place.bus);

        if (guest_pci_has_bus(guest, i)) {
            add_bridge(command, "pci-bridge", id, bus, place.slot,
                       guest->q35 ? i + 1 : i);
        }
    }
}

static void add_general(GuestCommand *command, const Guest *guest)
{
    guest_command_add(command, "-nodefaults", NULL);
    guest_command_add(command, "-boot",
                      "menu=on,strict=on,reboot-timeout=1000");
    if (!guest->reboot) {
        guest_command_add(command, "-no-reboot", NULL);
    }
    if (guest->frozen) {
        guest_command_add(command, "-S", NULL);
    }
    if (guest->keyboard) {
        guest_command_add(command, "-k", guest->keyboard);
    }
}

char *guest_print_qemu(const Guest *guest, const GuestPrint *print,
                       GuestNotes *notes)
{
    g_autoptr(GuestCommand) command = guest_command_new("qemu-system-x86_64");
    g_autoptr(GString) text = g_string_new("#!/bin/sh\n");
    g_autofree char *line = NULL;

    guest_command_add(command, "-name", guest->name);
    add_machine(command, guest);
    add_cpu(command, guest);
    add_memory(command, guest);
    add_firmware(command, guest, notes);
    add_smbios(command, guest);
    add_clock(command, guest);
    add_general(command, guest);
    add_bridges(command, guest);
    guest_qemu_add_devices(command, guest, print, notes);
    guest_qemu_add_disks(command, guest);
    guest_qemu_add_nics(command, guest, print, notes);
    for (const char *const *n = guest_notes_list(notes); *n; n++) {
        g_string_append_printf(text, "# %s\n", *n);
    }
    line = guest_command_print(command);
    return g_strconcat(text->str, line, NULL);
}
