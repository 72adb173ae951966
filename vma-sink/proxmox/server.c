/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A qemu-nbd on a socket that is ours: it listens before the server starts, so
 * whoever connects waits for it, or learns that it has ended.
 *
 * qemu-nbd ends when its client leaves, and when we die: it is sent a signal.
 */
#include "proxmox/server.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/error.h"
#include "cli/cli.h"
#include "io/io.h"

/* The first descriptor that socket activation hands over. */
#define LISTEN_FD 3

struct ProxmoxServer {
    char *path;                 /* of the image */
    char *folder;
    char *socket;
    char *uri;
    GPid pid;                   /* 0: not started, or waited for */
};

static int listen_at(const char *path, GError **error)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (fd < 0 || strlen(path) >= sizeof(address.sun_path) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 1) < 0) {
        backup_error_set_errno(error, errno, "cannot listen at '%s'", path);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* A comma in a value of QEMU's options is doubled. */
static char *option_value(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    return g_strjoinv(",,", parts);
}

/* A limit is a filter on top of a file's format. */
static bool can_throttle(const ProxmoxImage *image)
{
    return image->format && g_file_test(image->path, G_FILE_TEST_EXISTS);
}

static void add_throttled(GPtrArray *argv, const ProxmoxImage *image)
{
    g_autofree char *path = option_value(image->path);

    g_ptr_array_add(argv, g_strdup("--object"));
    g_ptr_array_add(argv, g_strdup_printf(
        "throttle-group,id=limit,x-bps-write=%" G_GUINT64_FORMAT,
        image->rate));
    g_ptr_array_add(argv, g_strdup("--image-opts"));
    g_ptr_array_add(argv, g_strdup_printf(
        "driver=throttle,throttle-group=limit,file.driver=%s,"
        "file.file.filename=%s", image->format, path));
}

static GPtrArray *make_arguments(const ProxmoxImage *image)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    /* Socket activation wants the process to have been told its own id. */
    g_ptr_array_add(argv, g_strdup("/bin/sh"));
    g_ptr_array_add(argv, g_strdup("-c"));
    g_ptr_array_add(argv, g_strdup("LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\""));
    g_ptr_array_add(argv, g_strdup("sh"));
    g_ptr_array_add(argv, g_strdup("qemu-nbd"));
    if (image->read_only) {
        g_ptr_array_add(argv, g_strdup("--read-only"));
    } else {
        g_ptr_array_add(argv, g_strdup("--discard=unmap"));
    }
    if (image->cache) {
        g_ptr_array_add(argv, g_strdup_printf("--cache=%s", image->cache));
    }
    if (image->rate && can_throttle(image)) {
        add_throttled(argv, image);
    } else {
        if (image->rate) {
            cli_note("warning: '%s' is written without a limit: that takes a "
                     "file and a format", image->path);
        }
        if (image->format) {
            g_ptr_array_add(argv, g_strdup_printf("--format=%s",
                                                  image->format));
        }
        g_ptr_array_add(argv, g_strdup("--"));
        g_ptr_array_add(argv, g_strdup(image->path));
    }
    g_ptr_array_add(argv, NULL);
    return argv;
}

/* Between fork and exec. */
static void set_up_child(gpointer opaque)
{
    (void)opaque;
    io_release_signals();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* Ctrl-C is for us, who end the server after its client. */
    setpgid(0, 0);
}

static bool spawn(ProxmoxServer *s, const ProxmoxImage *image, int fd,
                  GError **error)
{
    g_autoptr(GPtrArray) argv = make_arguments(image);
    int target = LISTEN_FD;

    return g_spawn_async_with_pipes_and_fds(
        NULL, (const char *const *)argv->pdata, NULL,
        G_SPAWN_DO_NOT_REAP_CHILD, set_up_child, NULL, -1, -1, -1, &fd,
        &target, 1, &s->pid, NULL, NULL, NULL, error);
}

ProxmoxServer *proxmox_server_new(const ProxmoxImage *image, GError **error)
{
    g_autoptr(ProxmoxServer) s = g_new0(ProxmoxServer, 1);
    bool ok;
    int fd;

    s->path = g_strdup(image->path);
    s->folder = g_dir_make_tmp("vma-XXXXXX", error);
    if (!s->folder) {
        return NULL;
    }
    s->socket = g_build_filename(s->folder, "nbd", NULL);
    s->uri = g_strdup_printf("nbd+unix:///?socket=%s", s->socket);
    fd = listen_at(s->socket, error);
    if (fd < 0) {
        return NULL;
    }
    ok = spawn(s, image, fd, error);
    close(fd);
    return ok ? g_steal_pointer(&s) : NULL;
}

const char *proxmox_server_uri(const ProxmoxServer *s)
{
    return s->uri;
}

/* Its status; it closes the image when it is asked to end, too. */
static int end(ProxmoxServer *s)
{
    int status = -1;            /* of no end that there is */

    kill(s->pid, SIGTERM);
    while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR) {
        continue;
    }
    g_spawn_close_pid(s->pid);
    s->pid = 0;
    return status;
}

bool proxmox_server_end(ProxmoxServer *s, GError **error)
{
    int status = end(s);

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                "qemu-nbd has failed with '%s'", s->path);
    return false;
}

void proxmox_server_free(ProxmoxServer *s)
{
    if (!s) {
        return;
    }
    if (s->pid) {
        end(s);
    }
    if (s->socket) {
        g_unlink(s->socket);
    }
    if (s->folder) {
        g_rmdir(s->folder);
    }
    g_free(s->path);
    g_free(s->folder);
    g_free(s->socket);
    g_free(s->uri);
    g_free(s);
}
