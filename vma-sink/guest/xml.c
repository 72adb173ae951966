/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XML, element by element.
 */
#include "guest/xml.h"

struct GuestXml {
    GString *text;
    GPtrArray *open;            /* names of elements, as they were given */
};

GuestXml *guest_xml_new(void)
{
    GuestXml *xml = g_new0(GuestXml, 1);

    xml->text = g_string_new(NULL);
    xml->open = g_ptr_array_new();
    return xml;
}

void guest_xml_free(GuestXml *xml)
{
    if (xml) {
        g_string_free(xml->text, TRUE);
        g_ptr_array_unref(xml->open);
        g_free(xml);
    }
}

static void append_escaped(GString *text, const char *value)
{
    g_autofree char *escaped = g_markup_escape_text(value, -1);

    g_string_append(text, escaped);
}

/* "  <NAME ATTRIBUTES" */
static void append_start(GuestXml *xml, const char *name, va_list attributes)
{
    const char *attribute;

    g_string_append_printf(xml->text, "%*s<%s", (int)xml->open->len * 2, "",
                           name);
    while ((attribute = va_arg(attributes, const char *))) {
        const char *value = va_arg(attributes, const char *);

        if (value) {
            g_string_append_printf(xml->text, " %s='", attribute);
            append_escaped(xml->text, value);
            g_string_append_c(xml->text, '\'');
        }
    }
}

void guest_xml_open(GuestXml *xml, const char *name, ...)
{
    va_list attributes;

    va_start(attributes, name);
    append_start(xml, name, attributes);
    va_end(attributes);
    g_string_append(xml->text, ">\n");
    g_ptr_array_add(xml->open, (void *)name);
}

void guest_xml_close(GuestXml *xml)
{
    const char *name = g_ptr_array_steal_index(xml->open, xml->open->len - 1);

    g_string_append_printf(xml->text, "%*s</%s>\n", (int)xml->open->len * 2,
                           "", name);
}

void guest_xml_empty(GuestXml *xml, const char *name, ...)
{
    va_list attributes;

    va_start(attributes, name);
    append_start(xml, name, attributes);
    va_end(attributes);
    g_string_append(xml->text, "/>\n");
}

void guest_xml_text(GuestXml *xml, const char *name, const char *text, ...)
{
    va_list attributes;

    va_start(attributes, text);
    append_start(xml, name, attributes);
    va_end(attributes);
    g_string_append_c(xml->text, '>');
    append_escaped(xml->text, text);
    g_string_append_printf(xml->text, "</%s>\n", name);
}

/* (Two hyphens would end it.) */
void guest_xml_comment(GuestXml *xml, const char *text)
{
    g_string_append_printf(xml->text, "%*s<!-- ", (int)xml->open->len * 2, "");
    for (const char *p = text; *p; p++) {
        g_string_append_c(xml->text, *p);
        if (*p == '-' && (p[1] == '-' || !p[1])) {
            g_string_append_c(xml->text, ' ');
        }
    }
    g_string_append(xml->text, " -->\n");
}

const char *guest_xml_string(const GuestXml *xml)
{
    return xml->text->str;
}
