/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command that the stream is sent to.
 */
#include "source/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"

/* How long the command may take to end by itself, and after SIGTERM. */
#define END_SECONDS 10
#define TERM_SECONDS 2
#define POLL_MS 20

struct Command {
    char **argv;
    int messages_fd;            /* its standard error; -1: ours */
    GPid pid;                   /* 0: it does not run */
    bool started;
    bool killed;                /* by us */
    int status;                 /* of waitpid(), once it has ended */
};

Command *command_new(const char *text, GError **error)
{
    g_autoptr(GError) local = NULL;
    char **argv;
    Command *command;

    if (!g_shell_parse_argv(text, NULL, &argv, &local)) {
        cli_set_usage(error, "'%s' is not a command: %s", text,
                      local->message);
        return NULL;
    }
    command = g_new0(Command, 1);
    command->argv = argv;
    command->messages_fd = -1;
    return command;
}

void command_set_messages_fd(Command *command, int fd)
{
    command->messages_fd = fd;
}

static void close_messages_fd(Command *command)
{
    if (command->messages_fd >= 0) {
        close(command->messages_fd);
        command->messages_fd = -1;
    }
}

/* In the child, between fork() and exec(). */
static void set_up_child(gpointer opaque)
{
    (void)opaque;
    io_release_signals();
    signal(SIGINT, SIG_IGN);
}

/* FD becomes standard output, and is closed. */
static bool replace_stdout(int fd)
{
    bool ok = fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0;

    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

bool command_start(Command *command, GError **error)
{
    g_autoptr(GError) local = NULL;
    int pair[2];
    bool ok;

    /* Ignored, as it may have been, ends could not be waited for. */
    signal(SIGCHLD, SIG_DFL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        backup_error_set_errno(error, errno, "cannot create a socket pair");
        return false;
    }
    ok = g_spawn_async_with_fds(NULL, command->argv, NULL,
                                G_SPAWN_SEARCH_PATH |
                                G_SPAWN_DO_NOT_REAP_CHILD,
                                set_up_child, NULL, &command->pid, pair[1],
                                pair[1], command->messages_fd, &local);
    close(pair[1]);
    close_messages_fd(command);
    if (!ok) {
        close(pair[0]);
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot start '%s': %s", command->argv[0],
                    local->message);
        return false;
    }
    command->started = true;
    if (!replace_stdout(pair[0])) {
        backup_error_set_errno(error, errno, "cannot replace standard output");
        return false;
    }
    return true;
}

/* --- Its end --- */

/* False: it still runs after SECONDS, or a signal came. */
static bool wait_for(Command *command, unsigned seconds)
{
    gint64 until_us = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

    while (waitpid(command->pid, &command->status, WNOHANG) == 0) {
        if (io_interrupted(NULL) || g_get_monotonic_time() > until_us) {
            return false;
        }
        g_usleep(POLL_MS * 1000);
    }
    command->pid = 0;
    return true;
}

/* Also where a signal does not let us wait: nothing of it stays behind. */
static void end(Command *command)
{
    if (command->pid == 0 || wait_for(command, END_SECONDS)) {
        return;
    }
    io_clear_interrupt();
    command->killed = true;
    kill(command->pid, SIGTERM);
    if (!wait_for(command, TERM_SECONDS)) {
        kill(command->pid, SIGKILL);
        waitpid(command->pid, &command->status, 0);
        command->pid = 0;
    }
}

/* "'ssh' has ended with exit code 255"; to be freed. */
static char *describe_end(const Command *command)
{
    const char *name = command->argv[0];

    if (command->killed) {
        return g_strdup_printf("'%s' did not end and was killed", name);
    }
    if (WIFSIGNALED(command->status)) {
        return g_strdup_printf("'%s' was killed by SIG%s", name,
                               sigabbrev_np(WTERMSIG(command->status)));
    }
    return g_strdup_printf("'%s' has ended with exit code %d", name,
                           WEXITSTATUS(command->status));
}

void command_finish(Command *command, bool stored, GError **error)
{
    g_autofree char *ended = NULL;

    if (!command->started) {
        return;
    }
    /* QEMU's end may be gone already; ours, if there is one, goes now. */
    (void)replace_stdout(open("/dev/null", O_WRONLY | O_CLOEXEC));
    end(command);
    ended = describe_end(command);
    if (stored) {
        if (command->killed || command->status != 0) {
            cli_note("warning: the backup is stored, but %s", ended);
        }
    } else if (g_error_matches(*error, BACKUP_ERROR, BACKUP_ERROR_UNKNOWN)) {
        g_autoptr(GError) local = g_steal_pointer(error);

        g_set_error(error, local->domain, local->code,
                    "%s; %s; 'vma-restore verify' can tell there",
                    local->message, ended);
    } else {
        g_autoptr(GError) local = g_steal_pointer(error);

        g_set_error(error, local->domain, local->code,
                    "not committed: %s; %s", local->message, ended);
    }
}

void command_free(Command *command)
{
    if (command) {
        end(command);
        close_messages_fd(command);
        g_strfreev(command->argv);
        g_free(command);
    }
}
