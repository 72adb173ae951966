/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images of any format and place that QEMU knows, as NBD exports: a qemu-nbd for
 * each.
 */
#ifndef PROXMOX_SERVER_H
#define PROXMOX_SERVER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ProxmoxServer ProxmoxServer;

typedef struct ProxmoxImage {
    const char *path;           /* as QEMU takes it */
    const char *format;         /* NULL: QEMU finds out */
    const char *cache;          /* NULL: QEMU's own */
    uint64_t rate;              /* bytes per second that are written; 0: any */
    bool read_only;
} ProxmoxImage;

/*
 * Starts it.  That it can't open the image shows when somebody connects, and
 * in its own message on standard error.
 */
ProxmoxServer *proxmox_server_new(const ProxmoxImage *image, GError **error);

/* Where it listens; valid as long as the server. */
const char *proxmox_server_uri(const ProxmoxServer *server);

/* Ends it and waits for that.  False: it had failed. */
bool proxmox_server_end(ProxmoxServer *server, GError **error);

/* The same, with no word of a failure. */
void proxmox_server_free(ProxmoxServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProxmoxServer, proxmox_server_free)

#endif /* PROXMOX_SERVER_H */
