/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A child's verdict comes through a pipe: a byte, 0 for good or the kind of the
 * error, and the error's message up to the end.  A child that was killed sends
 * neither.
 */
#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/io.h"

/* Of the verdict; what is longer is cut. */
#define VERDICT_BYTES 8192u

/* In the child.  A pipe takes as much without waiting. */
static void send_verdict(int fd, const GError *error)
{
    char verdict[VERDICT_BYTES] = { 0 };
    size_t bytes = 1;

    if (error) {
        verdict[0] = error->domain == BACKUP_ERROR ? error->code
                                                   : BACKUP_ERROR_FAILED;
        bytes += MIN(strlen(error->message), VERDICT_BYTES - 1);
        memcpy(verdict + 1, error->message, bytes - 1);
    }
    (void)!write(fd, verdict, bytes);
}

static void run_child(const Confine *confine, ConfineFunc *func, void *opaque,
                      int fd)
{
    GError *error = NULL;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (confine_enter(confine, CONFINE_PROGRAM, &error)) {
        func(opaque, &error);
    }
    send_verdict(fd, error);
    _exit(0);
}

/* The child is not believed: its text may be any bytes. */
static bool take_verdict(const char *verdict, size_t bytes, GError **error)
{
    if (bytes == 1 && verdict[0] == 0) {
        return true;
    }
    if (bytes > 1 && verdict[0] >= BACKUP_ERROR_FAILED &&
        verdict[0] <= BACKUP_ERROR_INCOMPLETE) {
        g_autofree char *text = g_strndup(verdict + 1, bytes - 1);

        g_set_error(error, BACKUP_ERROR, verdict[0], "%s", text);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the process that looks at it first has died");
    }
    return false;
}

bool confine_try(const Confine *confine, ConfineFunc *func, void *opaque,
                 GError **error)
{
    char verdict[VERDICT_BYTES];
    size_t bytes;
    int fds[2];
    pid_t pid;
    bool ok;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        backup_error_set_errno(error, errno, "cannot create a pipe");
        return false;
    }
    pid = fork();
    if (pid == 0) {
        run_child(confine, func, opaque, fds[1]);
    }
    close(fds[1]);
    if (pid < 0) {
        backup_error_set_errno(error, errno, "cannot start a process");
        close(fds[0]);
        return false;
    }
    ok = io_read(fds[0], verdict, sizeof(verdict), &bytes, error);
    close(fds[0]);
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        /* It has been killed. */
    }
    return ok && take_verdict(verdict, bytes, error);
}
