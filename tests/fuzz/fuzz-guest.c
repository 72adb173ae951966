/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as the configuration of a guest: what is printed of it are words for
 * a shell, and XML, with nothing in it that is none, and it is not much more.
 */
#include <string.h>

#include "guest/config.h"
#include "guest/guest.h"
#include "input.h"

/* What a guest of no words has, and what a byte of a configuration can become. */
#define OUTPUT_BASE_BYTES 65536u
#define OUTPUT_BYTES_PER_BYTE 64u

static BackupInfo *make_info(const uint8_t *data, size_t bytes)
{
    static const char *const disks[] = {
        "drive-scsi0", "drive-virtio7", "drive-ide0", "drive-sata5",
        "drive-efidisk0", "drive-tpmstate0-backup", "a,b'c<d",
    };
    BackupInfo *info = backup_info_new();

    for (size_t i = 0; i < G_N_ELEMENTS(disks); i++) {
        backup_info_add_device(info, i + 1, disks[i], 4 << 20);
    }
    backup_info_add_config(info, GUEST_CONFIG_NAME, data, bytes);
    return info;
}

static void check_characters(const char *text)
{
    g_assert(g_utf8_validate(text, -1, NULL));
    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);

        g_assert(c == '\n' || !g_unichar_iscntrl(c));
        /* These XML does not have. */
        g_assert(c != 0xfffe && c != 0xffff);
    }
}

/* After the comments, one command, each option on a line of its own. */
static void check_qemu(const char *text)
{
    g_auto(GStrv) words = NULL;
    int count;

    check_characters(text);
    while (*text == '#') {
        text = strchr(text, '\n') + 1;
    }
    g_assert(g_str_has_prefix(text, "qemu-system-x86_64 "));
    g_assert(g_shell_parse_argv(text, &count, &words, NULL));
    for (int i = 0; i < count; i++) {
        g_assert(!strchr(words[i], '\n'));
    }
}

static void check_libvirt(const char *text)
{
    const GMarkupParser parser = { 0 };
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL,
                                                              NULL);

    check_characters(text);
    g_assert(g_markup_parse_context_parse(context, text, -1, NULL));
    g_assert(g_markup_parse_context_end_parse(context, NULL));
    g_markup_parse_context_free(context);
}

static void check(const BackupInfo *info, size_t bytes,
                  char *print(const Guest *, const GuestPrint *, GuestNotes *),
                  void look(const char *))
{
    const GuestPrint options = { .folder = "a b", .here = "/c" };
    g_autoptr(GuestNotes) notes = guest_notes_new();
    g_autoptr(GError) error = NULL;
    g_autoptr(Guest) guest = guest_new(info, GUEST_CONFIG_NAME, "a b", notes,
                                       &error);
    g_autofree char *text = NULL;

    g_assert(!guest == (error != NULL));
    if (guest) {
        text = print(guest, &options, notes);
        g_assert(strlen(text) <= OUTPUT_BASE_BYTES +
                                 bytes * OUTPUT_BYTES_PER_BYTE);
        look(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    g_autoptr(BackupInfo) info = NULL;

    if (bytes > BACKUP_CONFIG_MAX_BYTES) {
        return 0;
    }
    info = make_info(data, bytes);
    check(info, bytes, guest_print_qemu, check_qemu);
    check(info, bytes, guest_print_libvirt, check_libvirt);
    return 0;
}
