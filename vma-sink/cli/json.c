/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects for machines to read, one a line.
 */
#include "cli/json.h"

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

char *cli_json_line(JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_alloc();

    json_node_init_object(node, object);
    return json_to_string(node, FALSE);
}
