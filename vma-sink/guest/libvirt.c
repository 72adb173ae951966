/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as a domain of libvirt: the machine itself, the PCI buses, and the
 * comments.
 */
#include "guest/libvirt.h"

#include <string.h>

/* Where a q35's first one is among libvirt's controllers: after its others. */
#define Q35_FIRST_BUS 6u
#define Q35_DMI_BUS 5u

/* A number as text; as long-lived as the block that it is in. */
#define NUMBER(name, format, ...) \
    g_autofree char *name = g_strdup_printf(format, __VA_ARGS__)

void guest_libvirt_add_place(GuestXml *xml, const Guest *guest,
                             GuestPci place)
{
    NUMBER(bus, "0x%02x", place.bus + (guest->q35 ? Q35_FIRST_BUS : 0));
    NUMBER(slot, "0x%02x", place.slot);

    guest_xml_empty(xml, "address", "type", "pci", "domain", "0x0000", "bus",
                    bus, "slot", slot, "function", "0x0", NULL);
}

static void add_bridge(GuestXml *xml, const char *model, unsigned index,
                       unsigned on_bus, unsigned slot, int function)
{
    NUMBER(index_text, "%u", index);
    NUMBER(bus, "0x%02x", on_bus);
    NUMBER(slot_text, "0x%02x", slot);
    NUMBER(function_text, "0x%x", function);

    guest_xml_open(xml, "controller", "type", "pci", "index", index_text,
                   "model", model, NULL);
    guest_xml_empty(xml, "address", "type", "pci", "domain", "0x0000", "bus",
                    bus, "slot", slot_text, "function", function_text,
                    "multifunction",
                    g_str_equal(model, "pcie-root-port") && function == 0
                    ? "on" : NULL, NULL);
    guest_xml_close(xml);
}

static void add_buses(GuestXml *xml, const Guest *guest)
{
    GuestPci place;

    if (!guest->q35) {
        guest_xml_empty(xml, "controller", "type", "pci", "index", "0",
                        "model", "pci-root", NULL);
    } else {
        guest_xml_empty(xml, "controller", "type", "pci", "index", "0",
                        "model", "pcie-root", NULL);
        for (int i = 0; i < 4; i++) {
            add_bridge(xml, "pcie-root-port", i + 1, 0, 0x1c, i);
        }
        add_bridge(xml, "dmi-to-pci-bridge", Q35_DMI_BUS, 0, 0x1e, 0);
    }
    for (unsigned i = guest->q35 ? 0 : 1; i < GUEST_PCI_BUSES; i++) {
        if (guest->q35 && i < 4) {
            add_bridge(xml, "pci-bridge", Q35_FIRST_BUS + i, Q35_DMI_BUS,
                       i + 1, 0);
        } else if (guest_pci_has_bus(guest, i)) {
            place = guest_pci_bridge(i);
            add_bridge(xml, "pci-bridge",
                       i + (guest->q35 ? Q35_FIRST_BUS : 0),
                       place.bus + (guest->q35 ? Q35_FIRST_BUS : 0),
                       place.slot, 0);
        }
    }
}

static void add_size(GuestXml *xml, const Guest *guest)
{
    NUMBER(memory, "%" G_GUINT64_FORMAT, guest->memory_mib);
    NUMBER(balloon, "%" G_GUINT64_FORMAT, guest->balloon_mib);
    NUMBER(vcpus, "%u", guest->vcpus);
    NUMBER(max, "%u", guest->sockets * guest->cores);

    guest_xml_text(xml, "memory", memory, "unit", "MiB", NULL);
    if (guest->balloon_mib > 0) {
        guest_xml_text(xml, "currentMemory", balloon, "unit", "MiB", NULL);
    }
    guest_xml_text(xml, "vcpu", max, "placement", "static", "current",
                   guest->vcpus < guest->sockets * guest->cores ? vcpus : NULL,
                   NULL);
}

static void add_iothreads(GuestXml *xml, const Guest *guest)
{
    unsigned count = 0;

    for (guint i = 0; i < guest->disks->len; i++) {
        const GuestDisk *disk = g_ptr_array_index(guest->disks, i);

        count += disk->iothread;
    }
    if (count > 0) {
        NUMBER(text, "%u", count);

        guest_xml_text(xml, "iothreads", text, NULL);
    }
}

static void add_firmware(GuestXml *xml, const Guest *guest, GuestNotes *notes)
{
    if (!guest->uefi) {
        return;
    }
    guest_notes_add(notes, "look: the firmware is '%s', as Debian's package "
                    "ovmf has it", guest_firmware(guest));
    guest_xml_text(xml, "loader", guest_firmware(guest), "readonly", "yes",
                   "type", "pflash", NULL);
    if (guest->uefi_vars) {
        guest_xml_text(xml, "nvram", guest->uefi_vars, NULL);
    } else {
        guest_xml_empty(xml, "nvram", "template", guest->uefi_4m
                        ? "/usr/share/OVMF/OVMF_VARS_4M.fd"
                        : "/usr/share/OVMF/OVMF_VARS.fd", NULL);
    }
    if (guest->uefi_vars_longer) {
        g_autofree char *quoted = g_shell_quote(guest->uefi_vars);

        guest_notes_add(notes, "look: cut the variables to their size before: "
                        "truncate -s %" G_GUINT64_FORMAT " %s",
                        guest->uefi_vars_bytes, quoted);
    }
}

static void add_os(GuestXml *xml, const Guest *guest, GuestNotes *notes)
{
    guest_xml_open(xml, "os", NULL);
    guest_xml_text(xml, "type", "hvm", "arch", "x86_64", "machine",
                   guest->machine, NULL);
    add_firmware(xml, guest, notes);
    guest_xml_empty(xml, "bootmenu", "enable", "yes", NULL);
    if (guest->smbios->len > 0) {
        guest_xml_empty(xml, "smbios", "mode", "sysinfo", NULL);
    }
    guest_xml_close(xml);
}

static void add_smbios(GuestXml *xml, const Guest *guest)
{
    if (guest->smbios->len == 0) {
        return;
    }
    guest_xml_open(xml, "sysinfo", "type", "smbios", NULL);
    guest_xml_open(xml, "system", NULL);
    for (guint i = 0; i + 1 < guest->smbios->len; i += 2) {
        guest_xml_text(xml, "entry", g_ptr_array_index(guest->smbios, i + 1),
                       "name", g_ptr_array_index(guest->smbios, i), NULL);
    }
    guest_xml_close(xml);
    guest_xml_close(xml);
}

static void add_features(GuestXml *xml, const Guest *guest)
{
    guest_xml_open(xml, "features", NULL);
    if (guest->acpi) {
        guest_xml_empty(xml, "acpi", NULL);
    }
    guest_xml_empty(xml, "apic", NULL);
    if (guest->cpu_hidden) {
        guest_xml_open(xml, "kvm", NULL);
        guest_xml_empty(xml, "hidden", "state", "on", NULL);
        guest_xml_close(xml);
    }
    guest_xml_close(xml);
}

static void add_nodes(GuestXml *xml, const Guest *guest)
{
    if (guest->nodes->len == 0) {
        return;
    }
    guest_xml_open(xml, "numa", NULL);
    for (guint i = 0; i < guest->nodes->len; i++) {
        const GuestNode *node = &g_array_index(guest->nodes, GuestNode, i);
        NUMBER(id, "%u", i);
        NUMBER(cpus, "%u-%u", node->first_cpu, node->last_cpu);
        NUMBER(memory, "%" G_GUINT64_FORMAT, node->memory_mib);

        guest_xml_empty(xml, "cell", "id", id, "cpus", cpus, "memory", memory,
                        "unit", "MiB", NULL);
    }
    guest_xml_close(xml);
}

/* "EPYC-v4": not every libvirt has these. */
static bool is_version(const char *model)
{
    const char *dash = strrchr(model, '-');

    return dash && dash[1] == 'v' && g_ascii_isdigit(dash[2]);
}

static void add_model(GuestXml *xml, const Guest *guest, GuestNotes *notes)
{
    bool host = g_str_equal(guest->cpu_model, "host");

    if (host || g_str_equal(guest->cpu_model, "max")) {
        guest_xml_open(xml, "cpu", "mode",
                       host ? "host-passthrough" : "maximum", "check", "none",
                       NULL);
    } else {
        guest_xml_open(xml, "cpu", "mode", "custom", "match", "exact", "check",
                       "none", NULL);
        guest_xml_text(xml, "model", guest->cpu_model, "fallback", "forbid",
                       NULL);
    }
    if (is_version(guest->cpu_model)) {
        guest_notes_add(notes, "look: a libvirt that does not know the CPU "
                        "model '%s' may know it without its version",
                        guest->cpu_model);
    }
}

static void add_cpu(GuestXml *xml, const Guest *guest, GuestNotes *notes)
{
    NUMBER(sockets, "%u", guest->sockets);
    NUMBER(cores, "%u", guest->cores);

    add_model(xml, guest, notes);
    guest_xml_empty(xml, "topology", "sockets", sockets, "cores", cores,
                    "threads", "1", NULL);
    for (guint i = 0; i < guest->cpu_flags->len; i++) {
        const GuestFlag *flag = &g_array_index(guest->cpu_flags, GuestFlag, i);

        guest_xml_empty(xml, "feature", "policy",
                        flag->on ? "require" : "disable", "name", flag->name,
                        NULL);
    }
    add_nodes(xml, guest);
    guest_xml_close(xml);
}

static void add_clock(GuestXml *xml, const Guest *guest)
{
    guest_xml_open(xml, "clock", "offset",
                   guest->local_time ? "localtime" : "utc", NULL);
    if (guest->drift_fix) {
        guest_xml_empty(xml, "timer", "name", "rtc", "tickpolicy", "catchup",
                        NULL);
    }
    if (guest->no_hpet) {
        guest_xml_empty(xml, "timer", "name", "hpet", "present", "no", NULL);
    }
    guest_xml_close(xml);
    guest_xml_text(xml, "on_poweroff", "destroy", NULL);
    guest_xml_text(xml, "on_reboot", guest->reboot ? "restart" : "destroy",
                   NULL);
    guest_xml_text(xml, "on_crash", "destroy", NULL);
}

/* What is in the domain. */
static void add_domain(GuestXml *xml, const Guest *guest,
                       const GuestPrint *print, GuestNotes *notes)
{
    guest_xml_text(xml, "name", guest->name, NULL);
    if (guest->uuid) {
        guest_xml_text(xml, "uuid", guest->uuid, NULL);
    }
    if (guest->generation_id) {
        guest_xml_empty(xml, "genid", NULL);
    }
    add_size(xml, guest);
    add_iothreads(xml, guest);
    add_smbios(xml, guest);
    add_os(xml, guest, notes);
    add_features(xml, guest);
    add_cpu(xml, guest, notes);
    add_clock(xml, guest);
    guest_xml_open(xml, "devices", NULL);
    add_buses(xml, guest);
    guest_libvirt_add_disks(xml, guest, notes);
    guest_libvirt_add_nics(xml, guest, print, notes);
    guest_libvirt_add_devices(xml, guest, notes);
    guest_xml_close(xml);
    if (guest->frozen) {
        guest_notes_add(notes, "not translated: 'freeze: 1': virsh start has "
                        "--paused");
    }
}

char *guest_print_libvirt(const Guest *guest, const GuestPrint *print,
                          GuestNotes *notes)
{
    g_autoptr(GuestXml) xml = guest_xml_new();
    g_autoptr(GuestXml) comments = guest_xml_new();

    guest_xml_open(xml, "domain", "type", guest->kvm ? "kvm" : "qemu", NULL);
    add_domain(xml, guest, print, notes);
    guest_xml_close(xml);
    for (const char *const *n = guest_notes_list(notes); *n; n++) {
        guest_xml_comment(comments, *n);
    }
    return g_strconcat(guest_xml_string(comments), guest_xml_string(xml), NULL);
}
