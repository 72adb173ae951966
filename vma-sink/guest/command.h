/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command line of QEMU, as text for a shell.  A value with parts,
 * "first,name=part", has a comma within a part doubled, and each word is quoted
 * where the shell would make something else of it.
 */
#ifndef GUEST_COMMAND_H
#define GUEST_COMMAND_H

#include <glib.h>

typedef struct GuestCommand GuestCommand;

GuestCommand *guest_command_new(const char *program);
void guest_command_free(GuestCommand *command);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestCommand, guest_command_free)

/* VALUE may be NULL: the option has none. */
void guest_command_add(GuestCommand *command, const char *option,
                       const char *value);

/* The same with a value that is in parts; it is taken over. */
void guest_command_add_parts(GuestCommand *command, const char *option,
                             GString *parts);

/* FIRST may be NULL: then what is put first is. */
GString *guest_parts_new(const char *first);
void guest_parts_put(GString *parts, const char *name, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* The command, an option a line; to be freed. */
char *guest_command_print(const GuestCommand *command);

#endif /* GUEST_COMMAND_H */
