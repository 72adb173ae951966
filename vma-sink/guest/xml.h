/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XML, element by element, indented.  Attributes are pairs of a name and a value,
 * up to a name that is NULL; one whose value is NULL is left out.  What is in
 * values and texts is escaped; it has to be UTF-8 without control characters.
 */
#ifndef GUEST_XML_H
#define GUEST_XML_H

#include <glib.h>

typedef struct GuestXml GuestXml;

GuestXml *guest_xml_new(void);
void guest_xml_free(GuestXml *xml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestXml, guest_xml_free)

/* <NAME ATTRIBUTES>, and </NAME> of the innermost that is open. */
void guest_xml_open(GuestXml *xml, const char *name, ...)
    G_GNUC_NULL_TERMINATED;
void guest_xml_close(GuestXml *xml);

/* <NAME ATTRIBUTES/> */
void guest_xml_empty(GuestXml *xml, const char *name, ...)
    G_GNUC_NULL_TERMINATED;

/* <NAME ATTRIBUTES>TEXT</NAME> */
void guest_xml_text(GuestXml *xml, const char *name, const char *text, ...)
    G_GNUC_NULL_TERMINATED;

void guest_xml_comment(GuestXml *xml, const char *text);

/* What was written so far; valid until the next call. */
const char *guest_xml_string(const GuestXml *xml);

#endif /* GUEST_XML_H */
