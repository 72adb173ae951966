/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as what a monitor sends, to a backup from its start to its end, or
 * a guest agent, to a freeze and a thaw: they end, with an error or without.
 *
 * The first byte says which of the two it is.  All of the rest is there when
 * the connection is made, and then it ends, so nothing waits.
 */
#include <string.h>
#include <sys/socket.h>

#include "input.h"
#include "source/agent.h"
#include "source/qemu.h"

/* No more connections than this in a run; the agent makes two. */
#define MAX_PEERS 4u

static const uint8_t *reply;
static size_t reply_bytes;
static int peers[MAX_PEERS];
static unsigned peer_count;

/* In the place of the system's: everybody is reached, and says the same. */
int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
    int pair[2];

    (void)address;
    (void)bytes;
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                    ==, 0);
    /* What has no room is not sent. */
    (void)!send(pair[1], reply, reply_bytes, MSG_NOSIGNAL);
    shutdown(pair[1], SHUT_WR);
    g_assert_cmpuint(peer_count, <, MAX_PEERS);
    peers[peer_count++] = pair[1];
    g_assert_cmpint(dup2(pair[0], fd), ==, fd);
    close(pair[0]);
    return 0;
}

static void close_peers(void)
{
    while (peer_count > 0) {
        close(peers[--peer_count]);
    }
}

/* The backup hands its standard output over, and has none any more. */
static void dump(Progress *progress)
{
    static int saved = -1, stream[2];
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autoptr(GError) error = NULL;
    bool done = false;
    const QemuOptions options = {
        .socket = "x", .info = info, .done = &done,
        .timeout_seconds = -1, .answer_seconds = -1,
    };

    if (saved < 0) {
        saved = dup(STDOUT_FILENO);
        g_assert_cmpint(pipe(stream), ==, 0);
    }
    dup2(stream[1], STDOUT_FILENO);
    g_assert(qemu_dump(&options, progress, &error) == !error);
    dup2(saved, STDOUT_FILENO);
}

static void freeze_and_thaw(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Agent) agent = agent_connect("x", 1, &error);
    int64_t count;

    g_assert(!agent == !!error);
    if (agent) {
        g_clear_error(&error);
        g_assert(agent_freeze(agent, 1, &count, &error) == !error);
        g_clear_error(&error);
        g_assert(agent_thaw(agent, 1, &error) == !error);
        g_assert(agent_is_frozen(agent) == !!error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static Progress *progress;

    if (bytes == 0) {
        return 0;
    }
    if (!progress) {
        progress_parse("progress", "none", NULL, NULL);
        progress = progress_new("reading");
    }
    /* The numbers that the agent has to repeat. */
    g_random_set_seed(1);
    reply = data + 1;
    reply_bytes = bytes - 1;
    if (data[0] % 2 == 0) {
        dump(progress);
    } else {
        freeze_and_thaw();
    }
    close_peers();
    return 0;
}
