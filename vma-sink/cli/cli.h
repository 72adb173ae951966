/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the programs share on their outside: options, messages, exit codes.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"

#define CLI_VERSION "0.1"

/* The text on exit codes at the end of every --help. */
extern const char cli_exit_codes[];

/* What cli_parse() does first: see cli.c. */
void cli_occupy_standard_descriptors(void);

/*
 * Parses the command line with GOption; --version and --help are added.  The
 * summary stands under the usage line, which ends in PARAMETERS.  *argc and
 * argv keep what is no option.  False: *error is a usage error.
 */
bool cli_parse(int *argc, char ***argv, const GOptionEntry *entries,
               const char *parameters, const char *summary,
               GError **error);

/*
 * What --version says besides, in a line that begins with NAME: what FUNC
 * returns, to be freed.  Before cli_parse().
 */
typedef char *CliAboutFunc(void);
void cli_set_about(const char *name, CliAboutFunc *func);

/* The exit code that says of what kind an error is. */
int cli_exit_code(const GError *error);

/* Prints "PROGRAM: MESSAGE" to standard error; frees and returns the code. */
int cli_report(GError *error);

/*
 * Prints "PROGRAM: MESSAGE" to standard error, for what is not the end.  Never
 * blocks for more than a second: where standard error takes nothing the program
 * goes on, and the message comes when it can, if the program still runs then.
 */
void cli_note(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* From here on that prints nothing: another process says the same. */
void cli_mute_notes(void);

/* After the last print to standard output, whose failures show only here. */
bool cli_flush_stdout(GError **error);

/* Sets a usage error that points to --help. */
void cli_set_usage(GError **error, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* A number with an optional K, M, G or T (powers of 1024). */
bool cli_parse_size(const char *text, uint64_t *bytes, GError **error);

/* Loads every "FILE[=NAME]" of a NULL-terminated list, which may be NULL. */
bool cli_load_configs(BackupInfo *info, char **arguments, GError **error);

/* "1.5 GiB"; to be freed. */
char *cli_format_size(uint64_t bytes);

/*
 * A name that comes from outside, fit for a terminal: what is no UTF-8, and what
 * backup_char_is_shown() refuses, is shown as \xNN.  To be freed.
 */
char *cli_printable(const char *text);

#endif /* CLI_CLI_H */
