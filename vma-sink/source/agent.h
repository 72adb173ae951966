/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of the QEMU guest agent, on the unix socket of its channel, that
 * freezes and thaws the guest's file systems.  For one thread.
 *
 * The agent is part of the guest, so it may be slow, silent or malicious: all
 * waiting is limited.  It also ends on a signal (io/io.h).
 */
#ifndef SOURCE_AGENT_H
#define SOURCE_AGENT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Agent Agent;

/*
 * Connects, and makes sure within SECONDS that an agent answers, and that the
 * file systems are not frozen yet.
 */
Agent *agent_connect(const char *path, unsigned seconds, GError **error);
void agent_free(Agent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Agent, agent_free)

/*
 * Freezes; *count is how many file systems.  After a failure they may be frozen
 * all the same, or become so later: ask agent_is_frozen().
 */
bool agent_freeze(Agent *agent, unsigned seconds, int64_t *count,
                  GError **error);

/*
 * Thaws.  Where this fails the agent may still do it later, and it can be tried
 * again, on a new connection if the old one is lost.
 */
bool agent_thaw(Agent *agent, unsigned seconds, GError **error);

/* A freeze was asked for, and no thaw was confirmed since. */
bool agent_is_frozen(const Agent *agent);

/* From the question for the freeze to the answer to the thaw, or to now. */
int64_t agent_frozen_us(const Agent *agent);

/* A shell command that thaws; to be freed. */
char *agent_thaw_command(const Agent *agent);

#endif /* SOURCE_AGENT_H */
