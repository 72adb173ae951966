/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's configuration becomes a command and a domain: each of its lines is in
 * them or in a note, and nothing of it is where it can do harm.
 */
#include <string.h>

#include "guest/command.h"
#include "guest/config.h"
#include "guest/guest.h"
#include "guest/pci.h"
#include "guest/settings.h"
#include "guest/xml.h"
#include "util.h"

typedef char *Printer(const Guest *guest, const GuestPrint *print,
                      GuestNotes *notes);

static Printer *const printers[] = { guest_print_qemu, guest_print_libvirt };

static BackupInfo *make_info(const char *config)
{
    BackupInfo *info = backup_info_new();

    backup_info_add_device(info, 1, "drive-scsi0", 1 << 20);
    backup_info_add_device(info, 2, "drive-virtio1", 1 << 20);
    backup_info_add_config(info, GUEST_CONFIG_NAME, config, strlen(config));
    return info;
}

/* What is printed; where notes is not NULL, they as well, a line each. */
static char *translate(const char *config, Printer *print, char **notes)
{
    const GuestPrint options = { .folder = "disks", .here = "/x" };
    g_autoptr(GuestNotes) list = guest_notes_new();
    g_autoptr(BackupInfo) info = make_info(config);
    g_autoptr(Guest) guest = guest_new(info, GUEST_CONFIG_NAME, "disks", list,
                                       NULL);
    char *text;

    g_assert_nonnull(guest);
    text = print(guest, &options, list);
    if (notes) {
        *notes = g_strjoinv("\n", (char **)guest_notes_list(list));
    }
    return text;
}

/* Without the comments. */
static char *translate_bare(const char *config, Printer *print)
{
    g_autofree char *text = translate(config, print, NULL);
    const char *start = print == guest_print_qemu ? strstr(text, "\nqemu-")
                                                  : strstr(text, "<domain");

    g_assert_nonnull(start);
    return g_strdup(start);
}

static void assert_has(const char *text, const char *words)
{
    if (!strstr(text, words)) {
        g_error("no '%s' in: %s", words, text);
    }
}

static void test_settings(void)
{
    static const char *const words[] = { "a", "b", NULL };
    g_autoptr(GuestSettings) s = guest_settings_parse(
        "x,n=5,n=7,big=18446744073709551616,w=c,f=On,g=2,lone,,e=", "first");
    g_autofree char *rest = NULL;
    uint64_t number = 1;
    bool flag = false;

    /* What has no name is the first one's value: of several the last one. */
    g_assert_cmpstr(guest_settings_look(s, "first"), ==, "lone");
    g_assert_true(guest_settings_take_number(s, "n", 0, 7, &number));
    g_assert_cmpuint(number, ==, 7);
    g_assert_false(guest_settings_take_number(s, "n", 0, 6, &number));
    g_assert_false(guest_settings_take_number(s, "big", 0, UINT64_MAX,
                                              &number));
    g_assert_cmpuint(number, ==, 7);
    g_assert_null(guest_settings_take_word(s, "w", words));
    g_assert_true(guest_settings_take_flag(s, "f", &flag));
    g_assert_true(flag);
    g_assert_false(guest_settings_take_flag(s, "g", &flag));
    g_assert_null(guest_settings_take(s, "none"));
    rest = guest_settings_rest(s);
    g_assert_cmpstr(rest, ==, "first=x,n=5,big=18446744073709551616,w=c,g=2,"
                    "first=lone,e=");
}

static void test_text(void)
{
    g_autofree char *comma = guest_text_decode("a%2Cb");

    g_assert_cmpstr(comma, ==, "a,b");
    g_assert_null(guest_text_decode("%0A"));
    g_assert_null(guest_text_decode("%ff"));
    g_assert_null(guest_text_decode("%"));
    g_assert_false(guest_text_is_valid("\xef\xbf\xbe"));
    g_assert_false(guest_text_is_valid("\x1b[2J"));
    g_assert_false(guest_text_is_plain("", 5, ""));
    g_assert_false(guest_text_is_plain("123456", 5, ""));
    g_assert_false(guest_text_is_plain("a b", 5, "-"));
}

static void test_lines(void)
{
    static const struct {
        const char *line;
        const char *key;
        const char *value;
    } lines[] = {
        { "scsi0: a:b,c=d", "scsi0", "a:b,c=d" },
        { "amd-sev:x ", "amd-sev", "x" },
        { "scsi0 : x", NULL, NULL },
        { "Scsi0: x", NULL, NULL },
        { "0: x", NULL, NULL },
        { "scsi0a: x", NULL, NULL },
        { "memory:", NULL, NULL },
        { " memory: 1", NULL, NULL },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *key = NULL;
        g_autofree char *value = NULL;

        guest_config_parse_line(lines[i].line, &key, &value);
        g_assert_cmpstr(key, ==, lines[i].key);
        g_assert_cmpstr(value, ==, lines[i].value);
    }
}

static void test_disk_keys(void)
{
    static const char *const right[] = {
        "ide0", "ide3", "sata5", "scsi0", "scsi30", "virtio15", "efidisk0",
        "tpmstate0",
    };
    static const char *const wrong[] = {
        "ide4", "sata6", "scsi31", "virtio16", "efidisk1", "tpmstate1",
        "scsi00", "scsi01", "scsi", "scsi-1", "scsi+1", "scsi 1", "scsi1x",
        "scsihw", "unused0", "scsi18446744073709551616", "",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(right); i++) {
        g_assert_true(guest_config_is_disk_key(right[i]));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_false(guest_config_is_disk_key(wrong[i]));
    }
}

static void test_map(void)
{
    static const char *const wrong[] = {
        "#qmdump#map:a:b:c:d", "#qmdump#map:a:b:c:", "#qmdump#map:::c:d:",
        "#qmdump#map:a:b:c:d:e", "#vzdump#map:a:b:c:d:",
    };
    g_autofree char *key = NULL;
    g_autofree char *disk = NULL;

    g_assert_true(guest_config_parse_map("#qmdump#map:scsi0:drive-scsi0:::",
                                         &key, &disk));
    g_assert_cmpstr(key, ==, "scsi0");
    g_assert_cmpstr(disk, ==, "drive-scsi0");
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_false(guest_config_parse_map(wrong[i], &key, &disk));
    }
}

static void test_sections(void)
{
    g_autofree char *notes = NULL;
    g_autofree char *text = translate("memory: 77\n[PENDING]\nmemory: 88\n"
                                      "[snap]\nmemory: 99\n", guest_print_qemu,
                                      &notes);

    assert_has(text, "-m 77 ");
    assert_has(notes, "the section [PENDING]");
    assert_has(notes, "the section [snap]");
}

static void test_no_text(void)
{
    g_autoptr(GuestNotes) notes = guest_notes_new();
    g_autoptr(GBytes) data = g_bytes_new_static("name: a\0b\n", 10);
    g_autoptr(GError) error = NULL;

    g_assert_null(guest_config_parse(data, notes, &error));
    g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED);
}

static void test_command(void)
{
    g_autoptr(GuestCommand) command = guest_command_new("x");
    GString *parts = guest_parts_new("first");
    g_autofree char *text = NULL;

    guest_parts_put(parts, "file", "%s", "a,b'c $(d)");
    guest_command_add_parts(command, "-o", parts);
    guest_command_add(command, "-e", "");
    guest_command_add(command, "-p", "a,b=c:d/e");
    text = guest_command_print(command);
    g_assert_cmpstr(text, ==, "x \\\n    -o 'first,file=a,,b'\\''c $(d)' \\\n"
                    "    -e '' \\\n    -p a,b=c:d/e\n");
}

static void test_xml(void)
{
    g_autoptr(GuestXml) xml = guest_xml_new();

    guest_xml_open(xml, "a", "b", "<'\"&>", "c", NULL, NULL);
    guest_xml_comment(xml, "x --> y---");
    guest_xml_text(xml, "t", "]]> &amp;", NULL);
    guest_xml_close(xml);
    g_assert_cmpstr(guest_xml_string(xml), ==,
                    "<a b='&lt;&apos;&quot;&amp;&gt;'>\n"
                    "  <!-- x - -> y- - -  -->\n"
                    "  <t>]]&gt; &amp;amp;</t>\n"
                    "</a>\n");
}

/* Settings of all kinds, of Proxmox VE 9 and of before. */
static const char *const keys[] = {
    "acpi", "affinity", "agent", "allow-ksm", "amd-sev", "args", "audio0",
    "autostart", "balloon", "bios", "boot", "bootdisk", "cdrom", "cicustom",
    "citype", "ciupgrade", "ciuser", "cores", "cpu", "cpulimit", "cpuunits",
    "efidisk0", "freeze", "hookscript", "hostpci0", "hotplug", "hugepages",
    "ide0", "intel-tdx", "ipconfig0", "ivshmem", "keephugepages", "keyboard",
    "kvm", "localtime", "lock", "machine", "memory", "meta", "migrate_speed",
    "name", "nameserver", "net0", "net31", "numa", "numa0", "onboot", "ostype",
    "parallel0", "parent", "protection", "reboot", "rng0", "runningcpu",
    "sata5", "scsi0", "scsi1", "scsi30", "scsi99", "scsihw", "searchdomain",
    "serial0", "shares", "smbios1", "smp", "snaptime", "sockets",
    "spice_enhancements", "sshkeys", "startdate", "startup", "tablet", "tags",
    "tdf", "template", "tpmstate0", "unused0", "usb0", "vcpus", "vga",
    "virtio1", "virtiofs0", "vmgenid", "vmstatestorage", "watchdog", "zzz",
};

/* A value that nobody knows, alone and as an option beside one that may be. */
static void test_nothing_is_lost(void)
{
    static const char *const values[] = {
        "marker", "virtio,marker=1", "local:1/x.raw,marker=1", "1,marker=1",
        "host=marker", "local:1/x.raw,serial=ok,marker=",
    };

    for (size_t k = 0; k < G_N_ELEMENTS(keys); k++) {
        for (size_t v = 0; v < G_N_ELEMENTS(values); v++) {
            g_autofree char *config = g_strdup_printf(
                "bios: ovmf\nnuma: 1\n%s: %s\n", keys[k], values[v]);

            for (size_t p = 0; p < G_N_ELEMENTS(printers); p++) {
                g_autofree char *text = translate(config, printers[p], NULL);

                /* (Of the archive's disks it is the image that counts.) */
                if (!strstr(text, "marker") && !(v == 0 &&
                    (g_str_equal(keys[k], "scsi0") ||
                     g_str_equal(keys[k], "virtio1")))) {
                    g_error("lost: %s", config);
                }
            }
        }
    }
}

/* A line that is taken whole leaves no note; one that is not leaves it all. */
static void test_notes_have_it(void)
{
    static const char *const lines[] = {
        "args: -device evil", "hookscript: local:snippets/x.pl",
        "hostpci0: 0000:01:00.0", "memory: 1T", "cores: 0", "cores: -1",
        "sockets: 99999999999999999999", "scsi31: x", "vga: unknown",
        "serial0: /dev/ttyS0", "usb0: host=1234:5678", "name: a b",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_auto(GStrv) halves = g_strsplit(lines[i], ": ", 2);
        g_autofree char *notes = NULL;
        g_autofree char *bare = translate_bare(lines[i], guest_print_qemu);
        g_autofree char *text = translate(lines[i], guest_print_qemu, &notes);

        assert_has(notes, halves[0]);
        assert_has(notes, halves[1]);
        g_assert_true(strlen(halves[1]) < 4 || !strstr(bare, halves[1]));
    }
}

/* What a configuration says is a comment of XML, whatever characters it has. */
static void test_note_characters(void)
{
    g_autofree char *notes = NULL;
    g_autofree char *text = translate(
        "[a\xef\xbf\xbe\xef\xbf\xbf\x1b\xc2\x85\xff\xe2\x82\xac-->]\n",
        guest_print_libvirt, &notes);

    assert_has(notes, "section [a\\xEF\\xBF\\xBE\\xEF\\xBF\\xBF\\x1B"
               "\\xC2\\x85\\xFF\xe2\x82\xac-->]");
    assert_has(text, "- ->] -->\n");
}

/* No path, no program, and nothing that ends what it is in. */
static void test_hostile(void)
{
    static const char *const values[] = {
        "/etc/passwd", "/dev/sda,media=cdrom", "../../x", "file=/etc/passwd",
        "a','x; touch pwned; '", "$(touch pwned)", "`touch pwned`",
        "x,,script=/bin/sh", "virtio=52:54:00:12:34:56,script=/bin/sh",
        "</name><evil/>", "--><evil/><!--", "&evil;", "json:{}", "fat:rw:/etc",
        "socket,path=/tmp/pwned", "type=1,uuid=$(evil)", "-monitor stdio",
        "local:1/x,serial=%27%3Btouch%20pwned%3B",
        "local:1/x,serial=%3Cevil%2F%3E", "source=/etc/passwd",
    };

    for (size_t k = 0; k < G_N_ELEMENTS(keys); k++) {
        for (size_t v = 0; v < G_N_ELEMENTS(values); v++) {
            g_autofree char *config = g_strdup_printf("%s: %s\n", keys[k],
                                                      values[v]);
            g_autofree char *xml = translate_bare(config, guest_print_libvirt);
            g_autofree char *sh = translate_bare(config, guest_print_qemu);
            g_auto(GStrv) words = NULL;

            g_assert_null(strstr(xml, "<evil"));
            g_assert_null(strstr(xml, "/etc/"));
            g_assert_null(strstr(sh, "/etc/"));
            g_assert_null(strstr(sh, "/bin/"));
            g_assert_null(strstr(sh, "/dev/sda"));
            g_assert_null(strstr(sh, "-monitor"));
            /* Words of a shell, and none of them does anything. */
            g_assert_true(g_shell_parse_argv(sh, NULL, &words, NULL));
            g_assert_null(strstr(sh, "$("));
            g_assert_null(strstr(sh, "`"));
        }
    }
}

static void test_disks(void)
{
    g_autofree char *notes = NULL;
    g_autofree char *text = translate(
        "scsihw: virtio-scsi-single\nboot: order=virtio1;scsi0\n"
        "scsi0: s:vm-1-disk-0,discard=on,iothread=1,ssd=1,serial=a%2Cb\n"
        "scsi1: s:vm-1-disk-1\n"
        "virtio1: s:vm-1-disk-2,ro=1,cache=unsafe\n"
        "ide2: none,media=cdrom\n", guest_print_qemu, &notes);

    assert_has(text, "id=drive-scsi0,file=disks/disk-drive-scsi0.raw,"
               "discard=unmap");
    assert_has(text, "virtio-scsi-pci,id=virtioscsi0,bus=pci.3,addr=0x1,"
               "iothread=iothread-scsi0");
    assert_has(text, "serial=a,,b,rotation_rate=1,bootindex=101");
    assert_has(text, "disk-drive-virtio1.raw,cache=unsafe,readonly=on");
    assert_has(text, "bootindex=100");
    assert_has(text, "ide-cd,bus=ide.1,unit=0,id=ide2");
    assert_has(notes, "'scsi1: s:vm-1-disk-1': the archive has no disk");
    g_assert_null(strstr(text, "id=scsi1"));
}

/* What goes with aio=native goes with it in both. */
static void test_native(void)
{
    g_autofree char *notes = NULL;
    g_autofree char *text = translate(
        "scsi0: a,aio=native,cache=writeback\nvirtio1: b,aio=native\n",
        guest_print_libvirt, &notes);

    assert_has(notes, "scsi0: with aio=native it is cache=none");
    assert_has(text, "cache='none'");
    g_assert_null(strstr(text, "cache='writeback'"));
}

/* The firmware with SMM stops at once where it finds no flash for variables. */
static void test_firmware(void)
{
    static const char config[] =
        "machine: q35\nbios: ovmf\nefidisk0: s:1,efitype=4m\n";
    g_autofree char *mapped = g_strconcat(
        config, "#qmdump#map:efidisk0:drive-scsi0:::\n", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(printers); i++) {
        g_autofree char *without = translate_bare(config, printers[i]);
        g_autofree char *with = translate_bare(mapped, printers[i]);

        assert_has(without, "/OVMF_CODE_4M.fd");
        assert_has(with, "/OVMF_CODE_4M.secboot.fd");
    }
}

/* Where the program that is a TPM finds its state, wherever that runs. */
static void test_tpm(void)
{
    g_autofree char *notes = NULL;
    g_autofree char *text = translate(
        "tpmstate0: a\n#qmdump#map:tpmstate0:drive-scsi0:::\n",
        guest_print_qemu, &notes);

    g_assert_nonnull(text);
    assert_has(notes, "'backend-uri=file:///x/disks/disk-drive-scsi0.raw'");
}

/* The archive's names are found by the lines that say so, and used once. */
static void test_disk_map(void)
{
    g_autofree char *notes = NULL;
    g_autofree char *text = translate(
        "ide0: s:1\nscsi0: s:2\n#qmdump#map:ide0:drive-scsi0::raw:\n",
        guest_print_qemu, &notes);

    assert_has(text, "id=drive-ide0,file=disks/disk-drive-scsi0.raw");
    assert_has(notes, "scsi0 is left out: its disk 'drive-scsi0' has a place");
    assert_has(notes, "disk 'drive-virtio1' is none of the configuration");
}

static void test_letters(void)
{
    g_autofree char *text = translate_bare(
        "boot: ndc\nbootdisk: virtio1\nscsi0: a\nvirtio1: b\n"
        "ide2: none,media=cdrom\nnet0: e1000\n", guest_print_libvirt);
    const char *cd = strstr(text, "device='cdrom'");
    const char *disk = strstr(text, "disk-drive-virtio1.raw");
    const char *nic = strstr(text, "<interface");

    g_assert_true(cd && disk && nic);
    g_assert_true(strstr(nic, "order='1'") != NULL);
    g_assert_true(strstr(cd, "order='2'") < strstr(cd, "</disk>"));
    g_assert_true(strstr(disk, "order='3'") < strstr(disk, "</disk>"));
}

static void test_arch(void)
{
    static const char config[] = "arch: aarch64\n";
    g_autoptr(GuestNotes) notes = guest_notes_new();
    g_autoptr(BackupInfo) info = make_info(config);
    g_autoptr(GError) error = NULL;

    g_assert_null(guest_new(info, GUEST_CONFIG_NAME, ".", notes, &error));
    g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE);
    g_clear_error(&error);
    g_assert_null(guest_new(info, "other", ".", notes, &error));
    g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE);
}

/* As many devices as there can be have places of their own. */
static void test_places(void)
{
    static const struct {
        GuestPciKind kind;
        unsigned count;
    } kinds[] = {
        { GUEST_PCI_BALLOON, 1 }, { GUEST_PCI_WATCHDOG, 1 },
        { GUEST_PCI_SCSI, 5 }, { GUEST_PCI_SCSI_SINGLE, 31 },
        { GUEST_PCI_SATA, 1 }, { GUEST_PCI_AGENT, 1 }, { GUEST_PCI_DISK, 16 },
        { GUEST_PCI_NIC, 32 }, { GUEST_PCI_RNG, 1 }, { GUEST_PCI_AUDIO, 1 },
    };
    bool used[GUEST_PCI_BUSES][32] = { { false } };

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        for (unsigned n = 0; n < kinds[i].count; n++) {
            GuestPci place = guest_pci(kinds[i].kind, n);

            g_assert_cmpuint(place.bus, <, GUEST_PCI_BUSES);
            g_assert_true(place.slot >= 1 && place.slot <= 31);
            g_assert_false(used[place.bus][place.slot]);
            used[place.bus][place.slot] = true;
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/guest-settings/taken-if-they-make-sense", test_settings);
    g_test_add_func("/guest-settings/text-that-can-go-on", test_text);
    g_test_add_func("/guest-config/lines", test_lines);
    g_test_add_func("/guest-config/disk-keys", test_disk_keys);
    g_test_add_func("/guest-config/map", test_map);
    g_test_add_func("/guest-config/sections-are-no-part", test_sections);
    g_test_add_func("/guest-config/no-text-is-damage", test_no_text);
    g_test_add_func("/guest-command/quoted", test_command);
    g_test_add_func("/guest-xml/escaped", test_xml);
    g_test_add_func("/guest/nothing-is-lost", test_nothing_is_lost);
    g_test_add_func("/guest/notes-have-it", test_notes_have_it);
    g_test_add_func("/guest/note-characters", test_note_characters);
    g_test_add_func("/guest/hostile-values", test_hostile);
    g_test_add_func("/guest/disks", test_disks);
    g_test_add_func("/guest/native", test_native);
    g_test_add_func("/guest/firmware", test_firmware);
    g_test_add_func("/guest/tpm", test_tpm);
    g_test_add_func("/guest/disks-by-map", test_disk_map);
    g_test_add_func("/guest/boot-by-letters", test_letters);
    g_test_add_func("/guest/other-machines-are-refused", test_arch);
    g_test_add_func("/guest-pci/places-are-of-one", test_places);
    return g_test_run();
}
