/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options, messages and exit codes, the same for all programs.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup/error.h"
#include "backup/file-names.h"

/* How long a note may hold up what the program does. */
#define NOTE_WAIT_US G_USEC_PER_SEC

const char cli_exit_codes[] =
    "Exit codes:\n"
    "  0  done\n"
    "  1  failed (I/O error, no space, the other side failed)\n"
    "  2  wrong usage\n"
    "  3  the input is damaged or violates its format\n"
    "  4  the input ended early, or its producer aborted it\n"
    "  5  it is not known whether the backup is stored (vma-dump --to, --answer)\n";

static const char *about_name;
static CliAboutFunc *about;

void cli_set_about(const char *name, CliAboutFunc *func)
{
    about_name = name;
    about = func;
}

static gboolean print_version(const gchar *name, const gchar *value,
                              gpointer data, GError **error)
{
    (void)name;
    (void)value;
    (void)data;
    (void)error;
    /* Within a command the name is "PROGRAM COMMAND". */
    printf("%.*s %s\n", (int)strcspn(g_get_prgname(), " "), g_get_prgname(),
           CLI_VERSION);
    if (about) {
        g_autofree char *text = about();

        printf("%s: %s\n", about_name, text);
    }
    exit(fflush(stdout) == 0 ? 0 : 1);
}

/*
 * A file that we open must not become a standard descriptor that was closed:
 * messages would go into it.  What is closed stays unusable.
 */
void cli_occupy_standard_descriptors(void)
{
    static const int modes[] = { O_WRONLY, O_RDONLY, O_RDWR };

    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            /* The lowest free number is this one. */
            (void)!open("/dev/null", modes[fd]);
        }
    }
}

/* GLib writes an ellipsis, which becomes a question mark in the C locale. */
static void print_help(const gchar *text)
{
    g_auto(GStrv) parts = g_strsplit(text, "\342\200\246", -1);
    g_autofree char *plain = g_strjoinv("...", parts);

    fputs(plain, stdout);
}

bool cli_parse(int *argc, char ***argv, const GOptionEntry *entries,
               const char *parameters, const char *summary,
               GError **error)
{
    static const GOptionEntry common[] = {
        { "version", 0, G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK,
          print_version, "Print the version and exit", NULL },
        { NULL },
    };
    g_autoptr(GOptionContext) context = g_option_context_new(parameters);
    g_autoptr(GError) local = NULL;

    cli_occupy_standard_descriptors();
    setlocale(LC_CTYPE, "");
    g_set_print_handler(print_help);
    g_option_context_set_summary(context, summary);
    g_option_context_set_description(context, cli_exit_codes);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, common, NULL);
    if (!g_option_context_parse(context, argc, argv, &local)) {
        cli_set_usage(error, "%s", local->message);
        return false;
    }
    /* "--" only ends the options. */
    if (*argc > 1 && strcmp((*argv)[1], "--") == 0) {
        memmove(*argv + 1, *argv + 2, sizeof(**argv) * (*argc - 1));
        (*argc)--;
    }
    return true;
}

int cli_exit_code(const GError *error)
{
    return error->domain == BACKUP_ERROR ? error->code : BACKUP_ERROR_FAILED;
}

int cli_report(GError *error)
{
    int code = cli_exit_code(error);
    g_autofree char *message = cli_printable(error->message);

    fprintf(stderr, "%s: %s\n", g_get_prgname(), message);
    g_error_free(error);
    return code;
}

/* On its way out; owned by the thread that writes it. */
typedef struct Note {
    char *text;
    GAsyncQueue *written;       /* our reference; gets one item at the end */
} Note;

static void note_free(Note *note)
{
    g_async_queue_unref(note->written);
    g_free(note->text);
    g_free(note);
}

/*
 * Past stdio, whose lock nobody could take any more if this is blocked when the
 * program ends.
 */
static gpointer write_note(gpointer opaque)
{
    Note *note = opaque;
    const char *p = note->text;
    size_t left = strlen(p);

    while (left > 0) {
        struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
        ssize_t n = write(STDERR_FILENO, p, left);

        if (n > 0) {
            p += n;
            left -= n;
        } else if (n == 0 || errno != EAGAIN || poll(&pfd, 1, -1) < 0) {
            break;
        }
    }
    g_async_queue_push(note->written, GINT_TO_POINTER(1));
    note_free(note);
    return NULL;
}

/*
 * A terminal that was stopped (Ctrl-S), or a log that nobody reads, blocks its
 * writer without an end, and whether it would can't be asked: what is free now
 * may be taken by another program, and O_NONBLOCK is shared with them.  So it
 * is a thread that is blocked.
 */
static void start_note(GAsyncQueue *written, char *text)
{
    Note *note = g_new(Note, 1);
    GThread *thread;
    sigset_t all, old;

    note->text = text;
    note->written = g_async_queue_ref(written);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    thread = g_thread_try_new("note", write_note, note, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (thread) {
        g_thread_unref(thread);
    } else {
        g_async_queue_push(written, GINT_TO_POINTER(1));
        note_free(note);
    }
}

static bool notes_muted;

void cli_mute_notes(void)
{
    notes_muted = true;
}

void cli_note(const char *format, ...)
{
    g_autoptr(GAsyncQueue) written = g_async_queue_new();
    g_autofree char *text = NULL;
    g_autofree char *printable = NULL;
    va_list args;

    if (notes_muted) {
        return;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    printable = cli_printable(text);
    start_note(written, g_strdup_printf("%s: %s\n", g_get_prgname(),
                                        printable));
    (void)g_async_queue_timeout_pop(written, NOTE_WAIT_US);
}

bool cli_flush_stdout(GError **error)
{
    bool failed = ferror(stdout);

    errno = 0;
    if (fflush(stdout) != 0 || failed) {
        backup_error_set_errno(error, errno ? errno : EIO,
                               "cannot write to standard output");
        return false;
    }
    return true;
}

void cli_set_usage(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "%s (try '%s --help')", text, g_get_prgname());
}

bool cli_parse_size(const char *text, uint64_t *bytes, GError **error)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;
    guint64 number;
    unsigned shift = 0;

    number = g_ascii_strtoull(text, &end, 10);
    if (g_ascii_isdigit(*text) && *end) {
        unit = strchr(units, g_ascii_toupper(*end));
        shift = unit ? 10 * (unit - units + 1) : 0;
        end += unit ? 1 : 0;
    }
    if (!g_ascii_isdigit(*text) || *end || number > UINT64_MAX >> shift) {
        cli_set_usage(error, "'%s' is not a size (a number, with K, M, G or T "
                      "for powers of 1024)", text);
        return false;
    }
    *bytes = number << shift;
    return true;
}

bool cli_load_configs(BackupInfo *info, char **arguments, GError **error)
{
    for (; arguments && *arguments; arguments++) {
        const char *equals = strrchr(*arguments, '=');
        g_autofree char *file = equals
            ? g_strndup(*arguments, equals - *arguments)
            : g_strdup(*arguments);

        if (!backup_info_load_config(info, file, equals ? equals + 1 : NULL,
                                     error)) {
            return false;
        }
    }
    return true;
}

char *cli_format_size(uint64_t bytes)
{
    g_autofree char *text = g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
    /* GLib puts a no-break space there, which terminals and logs may lack. */
    g_auto(GStrv) parts = g_strsplit(text, "\302\240", 2);

    return g_strjoinv(" ", parts);
}

char *cli_printable(const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        gunichar c = g_utf8_get_char_validated(text, -1);
        const char *next = text + 1;

        if (c == (gunichar)-1 || c == (gunichar)-2 ||
            !backup_char_is_shown(c)) {
            g_string_append_printf(out, "\\x%02x", (unsigned char)*text);
        } else {
            next = g_utf8_next_char(text);
            g_string_append_len(out, text, next - text);
        }
        text = next;
    }
    return g_string_free(out, FALSE);
}
