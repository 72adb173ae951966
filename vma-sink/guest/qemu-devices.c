/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest as a command that starts it: networks and the other devices.
 */
#include "guest/qemu.h"

#include <string.h>

static void add_nic(GuestCommand *command, const GuestNic *nic,
                    const GuestPrint *print, GuestNotes *notes)
{
    bool virtio = g_str_equal(nic->model, "virtio");
    GString *parts = guest_parts_new(print->bridge ? "bridge" : "user");

    guest_parts_put(parts, "id", "%s", nic->key);
    if (print->bridge) {
        guest_parts_put(parts, "br", "%s", print->bridge);
    }
    guest_command_add_parts(command, "-netdev", parts);
    parts = guest_parts_new(virtio ? "virtio-net-pci" : nic->model);
    if (nic->mac) {
        guest_parts_put(parts, "mac", "%s", nic->mac);
    }
    guest_parts_put(parts, "netdev", "%s", nic->key);
    guest_qemu_put_place(parts, guest_pci(GUEST_PCI_NIC, nic->index));
    guest_parts_put(parts, "id", "%s", nic->key);
    if (nic->mtu > 0 && virtio) {
        guest_parts_put(parts, "host_mtu", "%" G_GUINT64_FORMAT, nic->mtu);
    } else if (nic->mtu > 0) {
        guest_notes_add(notes, "not translated: of %s: mtu=%" G_GUINT64_FORMAT
                        ": for virtio only", nic->key, nic->mtu);
    }
    if (nic->boot > 0) {
        guest_parts_put(parts, "bootindex", "%u", 99 + nic->boot);
    }
    guest_command_add_parts(command, "-device", parts);
    if (nic->link_down) {
        guest_notes_add(notes, "not translated: of %s: link_down=1: QEMU's "
                        "monitor has 'set_link %s off'", nic->key, nic->key);
    }
}

void guest_qemu_add_nics(GuestCommand *command, const Guest *guest,
                         const GuestPrint *print, GuestNotes *notes)
{
    for (guint i = 0; i < guest->nics->len; i++) {
        add_nic(command, g_ptr_array_index(guest->nics, i), print, notes);
    }
    if (guest->nics->len > 0 && !print->bridge) {
        guest_notes_add(notes, "changed: the network cards have user "
                        "networking: the guest reaches what this host reaches, "
                        "and is not reached; --bridge NAME connects them");
    }
}

static void add_vga(GuestCommand *command, const Guest *guest)
{
    static const struct {
        const char *name;
        const char *device;
    } devices[] = {
        { "std", "VGA" }, { "cirrus", "cirrus-vga" }, { "qxl", "qxl-vga" },
        { "vmware", "vmware-svga" }, { "virtio", "virtio-vga" },
    };
    GString *parts;

    if (!guest->vga) {
        guest_command_add(command, "-display", "none");
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(devices); i++) {
        if (g_str_equal(guest->vga, devices[i].name)) {
            parts = guest_parts_new(devices[i].device);
            guest_parts_put(parts, "id", "vga");
            guest_parts_put(parts, "bus", guest->q35 ? "pcie.0" : "pci.0");
            guest_parts_put(parts, "addr", guest->q35 ? "0x1" : "0x2");
            if (guest->vga_mib > 0) {
                guest_parts_put(parts, "vgamem_mb", "%" G_GUINT64_FORMAT,
                                guest->vga_mib);
            }
            guest_command_add_parts(command, "-device", parts);
        }
    }
}

/* The controllers are there without it as well. */
static void add_usb(GuestCommand *command, const Guest *guest)
{
    if (guest->q35) {
        guest_command_add(command, "-device", "ich9-usb-ehci1,id=ehci,"
                          "bus=pcie.0,addr=0x1d.0x7,multifunction=on");
        guest_command_add(command, "-device", "ich9-usb-uhci1,id=uhci-1,"
                          "bus=pcie.0,addr=0x1d.0x0,multifunction=on,"
                          "masterbus=ehci.0,firstport=0");
    } else {
        guest_command_add(command, "-device",
                          "piix3-usb-uhci,id=uhci,bus=pci.0,addr=0x1.0x2");
    }
    if (guest->tablet) {
        guest_command_add(command, "-device", guest->q35
                          ? "usb-tablet,id=tablet,bus=ehci.0,port=1"
                          : "usb-tablet,id=tablet,bus=uhci.0,port=1");
    }
}

static void add_serial(GuestCommand *command, const Guest *guest)
{
    for (int i = 0; i < (int)G_N_ELEMENTS(guest->serial); i++) {
        g_autofree char *device = g_strdup_printf("isa-serial,chardev=serial%d",
                                                  i);
        g_autofree char *line = NULL;

        if (!guest->serial[i]) {
            continue;
        }
        if (i == guest->vga_serial) {
            line = g_strdup_printf("stdio,id=serial%d,mux=on,signal=off", i);
        } else {
            line = g_strdup_printf("pty,id=serial%d", i);
        }
        guest_command_add(command, "-chardev", line);
        guest_command_add(command, "-device", device);
        if (i == guest->vga_serial) {
            g_autofree char *monitor = g_strdup_printf("chardev=serial%d", i);

            guest_command_add(command, "-mon", monitor);
        }
    }
}

static void add_agent(GuestCommand *command, const Guest *guest,
                      const GuestPrint *print)
{
    g_autofree char *path = g_build_filename(print->folder, "agent.sock", NULL);
    GString *parts;

    if (!guest->agent) {
        return;
    }
    parts = guest_parts_new("socket,id=qga0,server=on,wait=off");
    guest_parts_put(parts, "path", "%s", path);
    guest_command_add_parts(command, "-chardev", parts);
    if (guest->agent_isa) {
        guest_command_add(command, "-device", "isa-serial,chardev=qga0");
        return;
    }
    parts = guest_parts_new("virtio-serial");
    guest_parts_put(parts, "id", "qga0");
    guest_qemu_put_place(parts, guest_pci(GUEST_PCI_AGENT, 0));
    guest_command_add_parts(command, "-device", parts);
    guest_command_add(command, "-device", "virtserialport,bus=qga0.0,"
                      "chardev=qga0,name=org.qemu.guest_agent.0");
}

static void add_balloon(GuestCommand *command, const Guest *guest,
                        GuestNotes *notes)
{
    GString *parts;

    if (!guest->balloon) {
        return;
    }
    parts = guest_parts_new("virtio-balloon-pci");
    guest_parts_put(parts, "id", "balloon0");
    guest_qemu_put_place(parts, guest_pci(GUEST_PCI_BALLOON, 0));
    guest_command_add_parts(command, "-device", parts);
    if (guest->balloon_mib > 0) {
        guest_notes_add(notes, "not translated: 'balloon: %" G_GUINT64_FORMAT
                        "': the guest has all of its memory; QEMU's monitor "
                        "has 'balloon MIB'", guest->balloon_mib);
    }
}

static void add_rng(GuestCommand *command, const Guest *guest)
{
    GString *parts;

    if (!guest->rng) {
        return;
    }
    guest_command_add(command, "-object",
                      "rng-random,id=rng0,filename=/dev/urandom");
    parts = guest_parts_new("virtio-rng-pci,rng=rng0");
    if (guest->rng_bytes > 0) {
        guest_parts_put(parts, "max-bytes", "%" G_GUINT64_FORMAT,
                        guest->rng_bytes);
        guest_parts_put(parts, "period", "%" G_GUINT64_FORMAT,
                        guest->rng_period_ms);
    }
    guest_qemu_put_place(parts, guest_pci(GUEST_PCI_RNG, 0));
    guest_command_add_parts(command, "-device", parts);
}

static void add_watchdog(GuestCommand *command, const Guest *guest)
{
    GString *parts;

    if (!guest->watchdog) {
        return;
    }
    parts = guest_parts_new(guest->watchdog);
    if (!g_str_equal(guest->watchdog, "ib700")) {
        guest_qemu_put_place(parts, guest_pci(GUEST_PCI_WATCHDOG, 0));
    }
    guest_command_add_parts(command, "-device", parts);
    if (guest->watchdog_action) {
        g_autofree char *action = g_strconcat("watchdog=",
                                              guest->watchdog_action, NULL);

        guest_command_add(command, "-action", action);
    }
}

static void add_audio(GuestCommand *command, const Guest *guest)
{
    bool hda = guest->audio && !g_str_equal(guest->audio, "AC97");
    GString *parts;

    if (!guest->audio) {
        return;
    }
    guest_command_add(command, "-audiodev", "none,id=sound");
    parts = guest_parts_new(guest->audio);
    guest_parts_put(parts, "id", "audio0");
    guest_qemu_put_place(parts, guest_pci(GUEST_PCI_AUDIO, 0));
    if (!hda) {
        guest_parts_put(parts, "audiodev", "sound");
    }
    guest_command_add_parts(command, "-device", parts);
    if (hda) {
        guest_command_add(command, "-device",
                          "hda-micro,bus=audio0.0,cad=0,audiodev=sound");
        guest_command_add(command, "-device",
                          "hda-duplex,bus=audio0.0,cad=1,audiodev=sound");
    }
}

/* It is a program of its own, which has to run before, and leaves its folder. */
static void note_tpm(const Guest *guest, const GuestPrint *print,
                     GuestNotes *notes)
{
    g_autofree char *path = guest->tpm_file
        ? g_canonicalize_filename(guest->tpm_file, print->here) : NULL;
    g_autofree char *uri = path
        ? g_strconcat("backend-uri=file://", path, NULL) : NULL;
    g_autofree char *state = g_shell_quote(uri ? uri : "dir=FOLDER");

    if (guest->tpm) {
        guest_notes_add(notes, "not translated: tpmstate0: start swtpm before: "
                        "swtpm socket --daemon%s --tpmstate %s "
                        "--ctrl type=unixio,path=tpm.sock, and give QEMU "
                        "-chardev socket,id=tpm,path=tpm.sock "
                        "-tpmdev emulator,id=tpm,chardev=tpm "
                        "-device tpm-tis,tpmdev=tpm",
                        g_str_equal(guest->tpm, "2.0") ? " --tpm2" : "", state);
    }
}

void guest_qemu_add_devices(GuestCommand *command, const Guest *guest,
                            const GuestPrint *print, GuestNotes *notes)
{
    add_vga(command, guest);
    add_usb(command, guest);
    add_serial(command, guest);
    add_balloon(command, guest, notes);
    add_watchdog(command, guest);
    add_agent(command, guest, print);
    add_rng(command, guest);
    add_audio(command, guest);
    note_tpm(guest, print, notes);
}
