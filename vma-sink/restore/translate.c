/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From an archive's header to the translation on standard output.
 */
#include "restore/translate.h"

#include <stdio.h>

#include "cli/cli.h"
#include "guest/config.h"
#include "guest/guest.h"
#include "restore/archive.h"

bool restore_translate_is_bridge(const char *name)
{
    /* What the kernel lets an interface be called. */
    return guest_text_is_plain(name, 15, "-_.");
}

bool restore_translate(const RestoreTranslate *options, GError **error)
{
    g_autoptr(RestoreArchive) archive = restore_archive_new(options->archive,
                                                            error);
    g_autoptr(GuestNotes) notes = guest_notes_new();
    g_autoptr(Guest) guest = NULL;
    g_autofree char *text = NULL;
    const GuestPrint print = {
        .bridge = options->bridge,
        .folder = options->folder,
        .here = options->here,
    };

    if (!archive) {
        return false;
    }
    if (!guest_text_is_valid(options->folder)) {
        cli_set_usage(error, "the folder's name has control characters or is no "
                      "UTF-8, so it can't be written");
        return false;
    }
    guest = guest_new(restore_archive_info(archive),
                      options->config ? options->config : GUEST_CONFIG_NAME,
                      options->folder, notes, error);
    if (!guest) {
        return false;
    }
    text = options->form == RESTORE_TRANSLATE_QEMU
           ? guest_print_qemu(guest, &print, notes)
           : guest_print_libvirt(guest, &print, notes);
    /* A failure is seen when standard output is flushed. */
    (void)fputs(text, stdout);
    if (!cli_flush_stdout(error)) {
        return false;
    }
    for (const char *const *n = guest_notes_list(notes); *n; n++) {
        cli_note("%s", *n);
    }
    return true;
}
