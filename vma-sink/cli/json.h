/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects for machines to read, one a line.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <glib.h>
#include <json-glib/json-glib.h>
#include <stdbool.h>

/* Text that is no UTF-8, such as some paths, is changed as cli_printable(). */
void cli_json_set_text(JsonObject *object, const char *name, const char *text);

/*
 * To 1/1024 s.  JSON-GLib prints 17 digits of a number, which make
 * 0.029000000000000001 of a millisecond's; this one has few, and is exact.
 */
void cli_json_set_seconds(JsonObject *object, const char *name, double seconds);

/*
 * The characters that backup_char_is_shown() refuses are \uNNNN in texts, so that
 * a terminal may have it, too.  To be freed.
 */
char *cli_json_to_string(JsonNode *node, bool pretty);

/* The same, without line breaks, also at the end. */
char *cli_json_line(JsonObject *object);

#endif /* CLI_JSON_H */
