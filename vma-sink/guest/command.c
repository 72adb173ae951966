/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command line, for a shell to read.
 */
#include "guest/command.h"

#include <string.h>

struct GuestCommand {
    GString *text;
};

/* In the eyes of every shell these are nothing but themselves. */
static void append_quoted(GString *text, const char *word)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789"
                                "%+,-./:=@_";

    if (*word && strspn(word, plain) == strlen(word)) {
        g_string_append(text, word);
    } else {
        g_autofree char *quoted = g_shell_quote(word);

        g_string_append(text, quoted);
    }
}

GuestCommand *guest_command_new(const char *program)
{
    GuestCommand *command = g_new0(GuestCommand, 1);

    command->text = g_string_new(NULL);
    append_quoted(command->text, program);
    return command;
}

void guest_command_free(GuestCommand *command)
{
    if (command) {
        g_string_free(command->text, TRUE);
        g_free(command);
    }
}

void guest_command_add(GuestCommand *command, const char *option,
                       const char *value)
{
    g_string_append_printf(command->text, " \\\n    %s", option);
    if (value) {
        g_string_append_c(command->text, ' ');
        append_quoted(command->text, value);
    }
}

void guest_command_add_parts(GuestCommand *command, const char *option,
                             GString *parts)
{
    guest_command_add(command, option, parts->str);
    g_string_free(parts, TRUE);
}

GString *guest_parts_new(const char *first)
{
    return g_string_new(first);
}

void guest_parts_put(GString *parts, const char *name, const char *format, ...)
{
    g_autofree char *value = NULL;
    va_list args;

    va_start(args, format);
    value = g_strdup_vprintf(format, args);
    va_end(args);
    g_string_append_printf(parts, "%s%s=", parts->len > 0 ? "," : "", name);
    for (const char *p = value; *p; p++) {
        g_string_append(parts, *p == ',' ? "," : "");
        g_string_append_c(parts, *p);
    }
}

char *guest_command_print(const GuestCommand *command)
{
    return g_strconcat(command->text->str, "\n", NULL);
}
