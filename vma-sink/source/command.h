/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command that the stream is sent to, such as ssh with a vma-sink at its far
 * end, and its end.  What it says about the backup is wire/answer.h's.
 *
 *     we, or QEMU <--- pair of sockets ---> command <---> ... <---> vma-sink
 *
 * One end becomes our standard output, so whoever writes the stream need not
 * know of this; the other one is the command's standard input and its standard
 * output, so what the sink answers comes back on the same descriptor.  Nothing is
 * forwarded here.  Nobody but the command holds its end, so if that dies, the
 * next write fails, and the wait for the answer ends.
 *
 * SIGINT, which a terminal sends to both, is ignored in the command: what is
 * cancelled here ends there with a reason.
 */
#ifndef SOURCE_COMMAND_H
#define SOURCE_COMMAND_H

#include <glib.h>
#include <stdbool.h>

typedef struct Command Command;

/*
 * TEXT is split into words with a shell's quotes; no shell is run.  NULL with
 * kind USAGE where that can't be done.  Starts nothing.
 */
Command *command_new(const char *text, GError **error);

/* Ends it, if it still runs. */
void command_free(Command *command);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Command, command_free)

/*
 * Before it is started: its standard error, which is closed here once it is;
 * -1: ours.
 */
void command_set_messages_fd(Command *command, int fd);

/* Starts it.  Standard output is the stream's from now on. */
bool command_start(Command *command, GError **error);

/*
 * All is said: closes standard output, waits for the command's end, and ends it
 * where it does not come.  STORED: a valid answer has said that the backup is
 * committed.  Otherwise *error, which is set, is extended by the verdict, "not
 * committed" or, of kind UNKNOWN, what to do, and by how the command has ended.
 */
void command_finish(Command *command, bool stored, GError **error);

#endif /* SOURCE_COMMAND_H */
