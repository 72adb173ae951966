/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as a domain of libvirt: networks and the other devices.
 */
#include "guest/libvirt.h"

#include <string.h>

static void add_nic(GuestXml *xml, const Guest *guest, const GuestNic *nic,
                    const GuestPrint *print, GuestNotes *notes)
{
    g_autofree char *order = g_strdup_printf("%u", nic->boot);
    g_autofree char *mtu = g_strdup_printf("%" G_GUINT64_FORMAT, nic->mtu);

    guest_xml_open(xml, "interface", "type", print->bridge ? "bridge" : "user",
                   NULL);
    if (nic->mac) {
        guest_xml_empty(xml, "mac", "address", nic->mac, NULL);
    }
    if (print->bridge) {
        guest_xml_empty(xml, "source", "bridge", print->bridge, NULL);
    }
    guest_xml_empty(xml, "model", "type", nic->model, NULL);
    if (nic->mtu > 0 && print->bridge) {
        guest_xml_empty(xml, "mtu", "size", mtu, NULL);
    } else if (nic->mtu > 0) {
        guest_notes_add(notes, "not translated: of %s: mtu=%s: of a bridge "
                        "only", nic->key, mtu);
    }
    if (nic->link_down) {
        guest_xml_empty(xml, "link", "state", "down", NULL);
    }
    if (nic->boot > 0) {
        guest_xml_empty(xml, "boot", "order", order, NULL);
    }
    guest_libvirt_add_place(xml, guest, guest_pci(GUEST_PCI_NIC, nic->index));
    guest_xml_close(xml);
}

void guest_libvirt_add_nics(GuestXml *xml, const Guest *guest,
                            const GuestPrint *print, GuestNotes *notes)
{
    for (guint i = 0; i < guest->nics->len; i++) {
        add_nic(xml, guest, g_ptr_array_index(guest->nics, i), print, notes);
    }
    if (guest->nics->len > 0 && !print->bridge) {
        guest_notes_add(notes, "changed: the network cards have user "
                        "networking: the guest reaches what this host reaches, "
                        "and is not reached; --bridge NAME connects them");
    }
}

static void add_vga(GuestXml *xml, const Guest *guest)
{
    static const struct {
        const char *name;
        const char *model;
    } models[] = {
        { "std", "vga" }, { "cirrus", "cirrus" }, { "qxl", "qxl" },
        { "vmware", "vmvga" }, { "virtio", "virtio" },
    };
    g_autofree char *kib = guest->vga_mib > 0
        ? g_strdup_printf("%" G_GUINT64_FORMAT, guest->vga_mib * 1024) : NULL;
    const char *model = "none";

    for (size_t i = 0; guest->vga && i < G_N_ELEMENTS(models); i++) {
        if (g_str_equal(guest->vga, models[i].name)) {
            model = models[i].model;
        }
    }
    if (guest->vga) {
        guest_xml_empty(xml, "graphics", "type", "vnc", "port", "-1",
                        "autoport", "yes", "listen", "127.0.0.1", "keymap",
                        guest->keyboard, NULL);
    }
    guest_xml_open(xml, "video", NULL);
    guest_xml_empty(xml, "model", "type", model, "vram", kib, NULL);
    guest_xml_close(xml);
}

/*
 * Those of a q35 are named, as libvirt's own choice would be one on a bus more,
 * and all that come after would be renumbered.
 */
static void add_usb(GuestXml *xml, const Guest *guest)
{
    if (guest->q35) {
        guest_xml_open(xml, "controller", "type", "usb", "index", "0", "model",
                       "ich9-ehci1", NULL);
        guest_xml_empty(xml, "address", "type", "pci", "domain", "0x0000",
                        "bus", "0x00", "slot", "0x1d", "function", "0x7", NULL);
        guest_xml_close(xml);
        guest_xml_open(xml, "controller", "type", "usb", "index", "0", "model",
                       "ich9-uhci1", NULL);
        guest_xml_empty(xml, "master", "startport", "0", NULL);
        guest_xml_empty(xml, "address", "type", "pci", "domain", "0x0000",
                        "bus", "0x00", "slot", "0x1d", "function", "0x0",
                        "multifunction", "on", NULL);
        guest_xml_close(xml);
    }
    if (guest->tablet) {
        guest_xml_empty(xml, "input", "type", "tablet", "bus", "usb", NULL);
    }
}

static void add_serial(GuestXml *xml, const Guest *guest)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(guest->serial); i++) {
        g_autofree char *port = g_strdup_printf("%u", i);

        if (guest->serial[i]) {
            guest_xml_open(xml, "serial", "type", "pty", NULL);
            guest_xml_empty(xml, "target", "type", "isa-serial", "port", port,
                            NULL);
            guest_xml_close(xml);
        }
    }
}

static void add_agent(GuestXml *xml, const Guest *guest, GuestNotes *notes)
{
    if (guest->agent && guest->agent_isa) {
        guest_notes_add(notes, "not translated: of agent: type=isa");
    } else if (guest->agent) {
        guest_xml_open(xml, "controller", "type", "virtio-serial", "index", "0",
                       NULL);
        guest_libvirt_add_place(xml, guest, guest_pci(GUEST_PCI_AGENT, 0));
        guest_xml_close(xml);
        guest_xml_open(xml, "channel", "type", "unix", NULL);
        guest_xml_empty(xml, "target", "type", "virtio", "name",
                        "org.qemu.guest_agent.0", NULL);
        guest_xml_close(xml);
    }
}

static void add_balloon(GuestXml *xml, const Guest *guest)
{
    if (guest->balloon) {
        guest_xml_open(xml, "memballoon", "model", "virtio", NULL);
        guest_libvirt_add_place(xml, guest, guest_pci(GUEST_PCI_BALLOON, 0));
        guest_xml_close(xml);
    } else {
        guest_xml_empty(xml, "memballoon", "model", "none", NULL);
    }
}

static void add_rng(GuestXml *xml, const Guest *guest)
{
    g_autofree char *bytes = g_strdup_printf("%" G_GUINT64_FORMAT,
                                             guest->rng_bytes);
    g_autofree char *period = g_strdup_printf("%" G_GUINT64_FORMAT,
                                              guest->rng_period_ms);

    if (!guest->rng) {
        return;
    }
    guest_xml_open(xml, "rng", "model", "virtio", NULL);
    if (guest->rng_bytes > 0) {
        guest_xml_empty(xml, "rate", "bytes", bytes, "period", period, NULL);
    }
    guest_xml_text(xml, "backend", "/dev/urandom", "model", "random", NULL);
    guest_libvirt_add_place(xml, guest, guest_pci(GUEST_PCI_RNG, 0));
    guest_xml_close(xml);
}

static void add_watchdog(GuestXml *xml, const Guest *guest)
{
    bool isa;

    if (!guest->watchdog) {
        return;
    }
    isa = g_str_equal(guest->watchdog, "ib700");
    guest_xml_open(xml, "watchdog", "model", guest->watchdog, "action",
                   guest->watchdog_action ? guest->watchdog_action : "reset",
                   NULL);
    if (!isa) {
        guest_libvirt_add_place(xml, guest, guest_pci(GUEST_PCI_WATCHDOG, 0));
    }
    guest_xml_close(xml);
}

static void add_audio(GuestXml *xml, const Guest *guest)
{
    const char *model;

    if (!guest->audio) {
        return;
    }
    model = g_str_equal(guest->audio, "AC97") ? "ac97"
            : g_str_equal(guest->audio, "intel-hda") ? "ich6" : "ich9";
    guest_xml_open(xml, "sound", "model", model, NULL);
    guest_libvirt_add_place(xml, guest, guest_pci(GUEST_PCI_AUDIO, 0));
    guest_xml_close(xml);
    guest_xml_empty(xml, "audio", "id", "1", "type", "none", NULL);
}

static void add_tpm(GuestXml *xml, const Guest *guest, GuestNotes *notes)
{
    if (!guest->tpm) {
        return;
    }
    guest_xml_open(xml, "tpm", "model", "tpm-tis", NULL);
    guest_xml_empty(xml, "backend", "type", "emulator", "version", guest->tpm,
                    NULL);
    guest_xml_close(xml);
    guest_notes_add(notes, "changed: tpmstate0: the TPM is empty, so keys that "
                    "were in it have to be recovered%s%s",
                    guest->tpm_file ? "; what it held is in " : "",
                    guest->tpm_file ? guest->tpm_file : "");
}

void guest_libvirt_add_devices(GuestXml *xml, const Guest *guest,
                               GuestNotes *notes)
{
    add_usb(xml, guest);
    add_serial(xml, guest);
    add_agent(xml, guest, notes);
    add_tpm(xml, guest, notes);
    add_vga(xml, guest);
    add_audio(xml, guest);
    add_watchdog(xml, guest);
    add_balloon(xml, guest);
    add_rng(xml, guest);
}
