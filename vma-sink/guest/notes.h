/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a translation leaves out, or makes otherwise: a sentence each, in the
 * order found.  They are one line each, whatever the configuration has in it.
 */
#ifndef GUEST_NOTES_H
#define GUEST_NOTES_H

#include <glib.h>

typedef struct GuestNotes GuestNotes;

GuestNotes *guest_notes_new(void);
void guest_notes_free(GuestNotes *notes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestNotes, guest_notes_free)

/* Control characters and what is no UTF-8 become \xNN; a long one is cut. */
void guest_notes_add(GuestNotes *notes, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* Ends in NULL; valid until something is added. */
const char *const *guest_notes_list(GuestNotes *notes);

#endif /* GUEST_NOTES_H */
