/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects for machines to read, one a line.
 */
#include "cli/json.h"

#include "backup/file-names.h"
#include "cli/cli.h"

void cli_json_set_text(JsonObject *object, const char *name, const char *text)
{
    g_autofree char *printable = NULL;

    if (!g_utf8_validate(text, -1, NULL)) {
        printable = cli_printable(text);
    }
    json_object_set_string_member(object, name, printable ? printable : text);
}

void cli_json_set_seconds(JsonObject *object, const char *name, double seconds)
{
    json_object_set_double_member(object, name,
                                  (int64_t)(seconds * 1024) / 1024.0);
}

static void append_escaped(GString *out, gunichar c)
{
    if (c > 0xffff) {
        c -= 0x10000;
        g_string_append_printf(out, "\\u%04x", 0xd800 | c >> 10);
        c = 0xdc00 | (c & 0x3ff);
    }
    g_string_append_printf(out, "\\u%04x", c);
}

/* Outside of texts all is ASCII, and within them the library escapes that. */
char *cli_json_to_string(JsonNode *node, bool pretty)
{
    g_autofree char *text = json_to_string(node, pretty);
    GString *out = g_string_new(NULL);
    gunichar c;

    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        c = g_utf8_get_char(p);
        if (c < 0x7f || backup_char_is_shown(c)) {
            g_string_append_unichar(out, c);
        } else {
            append_escaped(out, c);
        }
    }
    return g_string_free(out, FALSE);
}

char *cli_json_line(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_alloc();

    json_node_init_object(node, object);
    return cli_json_to_string(node, false);
}
