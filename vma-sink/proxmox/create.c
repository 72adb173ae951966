/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "vma create": a vma-dump that reads the images, of qemu-nbd where they are not
 * surely raw, and a vma-sink that it writes to.
 */
#include "proxmox/proxmox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"
#include "proxmox/server.h"

typedef struct Create {
    const ProxmoxCreate *options;
    GPtrArray *servers;         /* of ProxmoxServer */
    GPtrArray *dump;            /* arguments */
    GPtrArray *sink;
    int output_fd;              /* of vma-sink; -1: it makes a file */
    GPid command_pid;           /* of exec:COMMAND; 0: none */
} Create;

/* A program of ours: beside this one, or wherever. */
static char *find_program(const char *name)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self ? g_path_get_dirname(self) : NULL;
    g_autofree char *beside = folder ? g_build_filename(folder, name, NULL)
                                     : NULL;

    return beside && access(beside, X_OK) == 0 ? g_steal_pointer(&beside)
                                               : g_strdup(name);
}

/* [format=FORMAT:][NAME=]PATH; NUMBER names what has no name. */
static bool add_disk(Create *c, const char *disk, unsigned number,
                     GError **error)
{
    ProxmoxImage image = { .read_only = true };
    g_autofree char *format = NULL;
    g_autofree char *name = NULL;
    const char *colon, *equals;
    ProxmoxServer *server;

    if (g_str_has_prefix(disk, "format=")) {
        disk += strlen("format=");
        colon = strchr(disk, ':');
        if (!colon) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "format=%s: expected a colon behind the format", disk);
            return false;
        }
        format = g_strndup(disk, colon - disk);
        disk = colon + 1;
    }
    equals = strchr(disk, '=');
    name = equals ? g_strndup(disk, equals - disk)
                  : g_strdup_printf("disk%u", number);
    image.path = equals ? equals + 1 : disk;
    image.format = format;
    if (g_strcmp0(format, "raw") == 0) {
        g_ptr_array_add(c->dump, g_strdup_printf("%s=%s", name, image.path));
        return true;
    }
    server = proxmox_server_new(&image, error);
    if (!server) {
        return false;
    }
    g_ptr_array_add(c->servers, server);
    g_ptr_array_add(c->dump, g_strdup_printf("%s=%s", name,
                                             proxmox_server_uri(server)));
    return true;
}

static bool make_dump(Create *c, GError **error)
{
    g_ptr_array_add(c->dump, find_program("vma-dump"));
    /* What is raw is said to be, and taken as that. */
    g_ptr_array_add(c->dump, g_strdup("--any-content"));
    g_ptr_array_add(c->dump, g_strdup(c->options->verbose
                                      ? "--progress=auto"
                                      : "--progress=none"));
    for (char **config = c->options->configs; config && *config; config++) {
        g_ptr_array_add(c->dump, g_strdup_printf("--config=%s", *config));
    }
    g_ptr_array_add(c->dump, g_strdup("--"));
    for (unsigned i = 0; c->options->disks && c->options->disks[i]; i++) {
        if (!add_disk(c, c->options->disks[i], i, error)) {
            return false;
        }
    }
    g_ptr_array_add(c->dump, NULL);
    return true;
}

/* Between fork and exec. */
static void set_up_child(gpointer opaque)
{
    (void)opaque;
    io_release_signals();
}

static bool open_command(Create *c, const char *command, GError **error)
{
    const char *argv[] = { "/bin/sh", "-c", command, NULL };

    return g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                    G_SPAWN_DO_NOT_REAP_CHILD, set_up_child,
                                    NULL, &c->command_pid, &c->output_fd, NULL,
                                    NULL, error);
}

/* Where the archive goes: a file gets its name from vma-sink, at the end. */
static bool open_output(Create *c, GError **error)
{
    const char *archive = c->options->archive;
    struct stat st;

    if (g_str_has_prefix(archive, "exec:")) {
        return open_command(c, archive + strlen("exec:"), error);
    }
    if (stat(archive, &st) == 0 && !S_ISREG(st.st_mode)) {
        c->output_fd = open(archive, O_WRONLY | O_CLOEXEC);
        if (c->output_fd < 0) {
            backup_error_set_errno(error, errno, "can't open file %s",
                                   archive);
            return false;
        }
    }
    return true;
}

static bool make_sink(Create *c, GError **error)
{
    if (!open_output(c, error)) {
        return false;
    }
    g_ptr_array_add(c->sink, find_program("vma-sink"));
    g_ptr_array_add(c->sink, g_strdup("--progress=none"));
    /* Whatever its name, as Proxmox's tool. */
    g_ptr_array_add(c->sink, g_strdup("--compress=none"));
    g_ptr_array_add(c->sink, g_strdup_printf(
        "--output=%s", c->output_fd < 0 ? c->options->archive : "-"));
    g_ptr_array_add(c->sink, NULL);
    return true;
}

/* FD_IN and FD_OUT are -1 for our own. */
static bool spawn(const GPtrArray *argv, int fd_in, int fd_out, GPid *pid,
                  GError **error)
{
    g_autoptr(GError) local = NULL;

    if (g_spawn_async_with_pipes_and_fds(
            NULL, (const char *const *)argv->pdata, NULL,
            G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH |
            G_SPAWN_CHILD_INHERITS_STDIN, set_up_child, NULL, fd_in, fd_out,
            -1, NULL, NULL, 0, pid, NULL, NULL, NULL, &local)) {
        return true;
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED, "%s",
                local->message);
    return false;
}

/*
 * The code that it ends with, 1 if a signal ended it.  A signal goes to it, and
 * once: at a second one it would leave at once, without tidying up.
 */
static int wait_for(GPid pid)
{
    bool told = false;
    int status = -1;            /* of no end that there is */

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        if (!told && io_interrupted(NULL)) {
            kill(pid, SIGTERM);
            told = true;
        }
    }
    g_spawn_close_pid(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : BACKUP_ERROR_FAILED;
}

/*
 * The programs have said why; this says who.  That the stream ended early is for
 * vma-dump to explain, and that its reader has ended for vma-sink.  The codes of
 * a command of the user's mean what it likes.
 */
static bool check_codes(int sink, int dump, int command, GError **error)
{
    bool by_sink = sink && (!dump || sink <= BACKUP_ERROR_USAGE);
    const char *who = by_sink ? "vma-sink" : dump ? "vma-dump" : "the command";
    int code = by_sink ? sink : dump ? dump :
               command ? BACKUP_ERROR_FAILED : 0;

    if (code) {
        g_set_error(error, BACKUP_ERROR, code,
                    "creating vma archive failed (%s)", who);
    }
    return !code;
}

/* Ctrl-C is for all of the terminal's; a signal for us alone ends us alone. */
static bool run(Create *c, GError **error)
{
    GPid dump, sink;
    int pipe_fds[2];
    int dump_code, sink_code, command_code = 0;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        backup_error_set_errno(error, errno, "cannot make a pipe");
        return false;
    }
    if (!spawn(c->dump, -1, pipe_fds[1], &dump, error)) {
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        return false;
    }
    close(pipe_fds[1]);
    if (!spawn(c->sink, pipe_fds[0], c->output_fd, &sink, error)) {
        close(pipe_fds[0]);
        wait_for(dump);
        return false;
    }
    close(pipe_fds[0]);
    if (c->output_fd >= 0) {
        close(c->output_fd);
        c->output_fd = -1;
    }
    dump_code = wait_for(dump);
    sink_code = wait_for(sink);
    if (c->command_pid) {
        command_code = wait_for(c->command_pid);
        c->command_pid = 0;
    }
    return check_codes(sink_code, dump_code, command_code, error);
}

bool proxmox_create(const ProxmoxCreate *options, GError **error)
{
    g_autoptr(GPtrArray) servers = g_ptr_array_new_with_free_func(
        (GDestroyNotify)proxmox_server_free);
    g_autoptr(GPtrArray) dump = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) sink = g_ptr_array_new_with_free_func(g_free);
    Create c = {
        .options = options,
        .servers = servers,
        .dump = dump,
        .sink = sink,
        .output_fd = -1,
    };
    bool ok = make_dump(&c, error) && make_sink(&c, error) && run(&c, error);

    if (c.output_fd >= 0) {
        close(c.output_fd);
    }
    if (c.command_pid) {
        wait_for(c.command_pid);
    }
    return ok;
}
