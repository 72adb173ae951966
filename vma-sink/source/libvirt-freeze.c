/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt talks to the agent.
 */
#include "source/libvirt-freeze.h"

#include "io/io.h"

#define AGENT_SECONDS 10

typedef struct LibvirtAgent {
    /* Set at creation, never changed; borrowed. */
    LibvirtGuest *guest;
    const char *uri;
    const char *name;

    bool frozen;                /* asked for, and no thaw was confirmed since */
    int64_t frozen_since_us;
    int64_t thawed_us;
} LibvirtAgent;

static bool freeze(void *opaque, unsigned seconds, int64_t *count,
                   GError **error)
{
    LibvirtAgent *a = opaque;

    a->frozen = true;
    a->frozen_since_us = g_get_monotonic_time();
    return libvirt_guest_freeze(a->guest, seconds, count, error);
}

static bool thaw(void *opaque, unsigned seconds, GError **error)
{
    LibvirtAgent *a = opaque;

    if (!libvirt_guest_thaw(a->guest, seconds, error)) {
        return false;
    }
    a->thawed_us = g_get_monotonic_time();
    a->frozen = false;
    return true;
}

static bool is_frozen(const void *opaque)
{
    const LibvirtAgent *a = opaque;

    return a->frozen;
}

static int64_t frozen_us(const void *opaque)
{
    const LibvirtAgent *a = opaque;

    return (a->frozen ? g_get_monotonic_time() : a->thawed_us) -
           a->frozen_since_us;
}

static char *thaw_command(const void *opaque)
{
    const LibvirtAgent *a = opaque;
    g_autofree char *name = g_shell_quote(a->name);
    g_autofree char *uri = a->uri ? g_shell_quote(a->uri) : NULL;

    return g_strconcat("virsh ", uri ? "-c " : "", uri ? uri : "",
                       uri ? " " : "", "domfsthaw ", name, NULL);
}

static const FreezeAgent libvirt_agent = {
    .freeze = freeze,
    .thaw = thaw,
    .is_frozen = is_frozen,
    .frozen_us = frozen_us,
    .thaw_command = thaw_command,
    .free = g_free,
};

Freeze *libvirt_freeze_new(LibvirtGuest *guest, const char *uri,
                           const char *name, Progress *progress,
                           FreezeSignalFunc *on_signal, void *opaque,
                           GError **error)
{
    LibvirtAgent *a;

    if (!libvirt_guest_ping(guest, AGENT_SECONDS, error)) {
        if (!io_interrupted(NULL)) {
            g_prefix_error(error, "the guest agent does not answer; it has to "
                           "run in the guest: ");
        }
        return NULL;
    }
    a = g_new0(LibvirtAgent, 1);
    a->guest = guest;
    a->uri = uri;
    a->name = name;
    return freeze_new_by(&libvirt_agent, a, progress, on_signal, opaque);
}
