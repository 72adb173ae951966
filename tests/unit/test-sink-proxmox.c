/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of archives for Proxmox VE, and what becomes of configurations of any
 * kind that go into one.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest/config.h"
#include "sink/proxmox.h"
#include "util.h"

static void test_vmid(void)
{
    static const char *const wrong[] = {
        "", "0", "99", "1000000000", "0100", "+100", " 100", "100 ", "-1",
        "18446744073709551716", "1e3", "0x100",
    };
    uint64_t vmid;

    g_assert_true(sink_proxmox_parse_vmid("100", &vmid, NULL));
    g_assert_cmpuint(vmid, ==, 100);
    g_assert_true(sink_proxmox_parse_vmid("999999999", &vmid, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(sink_proxmox_parse_vmid(wrong[i], &vmid, &error));
        g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE);
    }
}

static void test_name(void)
{
    static const int64_t wrong[] = {
        INT64_MIN, -1, INT64_C(253402300800), INT64_MAX,
    };
    g_autofree char *plain = sink_proxmox_name(100, 0, false, NULL);
    g_autofree char *last = sink_proxmox_name(100, 253402300799, true, NULL);

    g_assert_cmpstr(plain, ==, "vzdump-qemu-100-1970_01_01-00_00_00.vma");
    g_assert_cmpstr(last, ==, "vzdump-qemu-100-9999_12_31-23_59_59.vma.zst");
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(sink_proxmox_name(100, wrong[i], false, &error));
        g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_DAMAGED);
    }
}

/* What of CONFIG is stored with a disk of that name; NULL: nothing. */
static char *prepare(const void *config, size_t bytes, const char *disk,
                     unsigned *warnings)
{
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    gsize size;
    const char *text;

    backup_info_add_device(info, 1, disk, 1 << 20);
    backup_info_add_config(info, GUEST_CONFIG_NAME, config, bytes);
    if (!sink_proxmox_prepare(info, list, &error)) {
        g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE);
        return NULL;
    }
    *warnings = list->len;
    text = g_bytes_get_data(
        backup_info_find_config(info, GUEST_CONFIG_NAME)->data, &size);
    return g_strndup(text, size);
}

static void test_config(void)
{
    static const struct {
        const char *config;
        const char *disk;
        const char *stored;     /* NULL: refused */
        unsigned warnings;
    } cases[] = {
        { "scsi0: a:b", "scsi0", "scsi0: a:b\n#qmdump#map:scsi0:scsi0:a:raw:\n",
          0 },
        { "scsi0: /dev/x", "scsi0",
          "scsi0: /dev/x\n#qmdump#map:scsi0:scsi0::raw:\n", 0 },
        { "scsi0: a/b:c", "scsi0",
          "scsi0: a/b:c\n#qmdump#map:scsi0:scsi0::raw:\n", 0 },
        { "", "drive-ide3", "#qmdump#map:ide3:drive-ide3::raw:\n", 1 },
        { "efidisk0: a:b\r\n\n", "drive-efidisk0",
          "efidisk0: a:b\n#qmdump#map:efidisk0:drive-efidisk0:a:raw:\n", 0 },
        { "tpmstate0: a:b", "drive-tpmstate0-backup", "tpmstate0: a:b\n"
          "#qmdump#map:tpmstate0:drive-tpmstate0-backup:a:raw:\n", 0 },
        { "#vzdump#x\n#qmdump#y\nlock: a\nparent: b\nunused7: c\nunused: d",
          "scsi0", "unused: d\n#qmdump#map:scsi0:scsi0::raw:\n", 1 },
        { "\xff\n[x]\nscsi0: a", "scsi0",
          "\xff\n#qmdump#map:scsi0:scsi0::raw:\n", 2 },
        { "#qmdump#map:sata0:x:::", "x", "#qmdump#map:sata0:x::raw:\n", 1 },
        { "#qmdump#map:net0:x:::", "x", NULL, 0 },
        { "#qmdump#map:scsi0 :x:::", "x", NULL, 0 },
        { "scsi0: a:b", "root", NULL, 0 },
        { "#qmdump#map:scsi0:a b:::", "a b", NULL, 0 },
        { "scsi0: a:b", "drive-", NULL, 0 },
        { "scsi0: a:b", "scsi0:x", NULL, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        unsigned warnings = 0;
        g_autofree char *stored = prepare(cases[i].config,
                                          strlen(cases[i].config),
                                          cases[i].disk, &warnings);

        g_assert_cmpstr(stored, ==, cases[i].stored);
        g_assert_cmpuint(warnings, ==, cases[i].warnings);
    }
    g_assert_null(prepare("a\0b", 3, "scsi0", NULL));
}

static void test_long(void)
{
    g_autofree char *config = g_strnfill(BACKUP_CONFIG_MAX_BYTES, 'x');
    unsigned warnings;

    g_assert_null(prepare(config, BACKUP_CONFIG_MAX_BYTES, "scsi0",
                          &warnings));
}

int main(int argc, char **argv)
{
    setenv("TZ", "UTC0", 1);
    tzset();
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sink-proxmox/numbers-of-guests", test_vmid);
    g_test_add_func("/sink-proxmox/names", test_name);
    g_test_add_func("/sink-proxmox/configs", test_config);
    g_test_add_func("/sink-proxmox/no-room-for-lines", test_long);
    return g_test_run();
}
