/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of the libvirt on this host, and what can be asked of it.
 *
 * libvirt's functions have no limit of time, and no signal ends them; these
 * here have one, and end on a signal (io/io.h) in the thread that has opened
 * the guest.  Where a libvirtd was started anew the connection is made anew, as
 * long as the question can be asked twice.  Any thread may call them.
 */
#ifndef SOURCE_LIBVIRT_GUEST_H
#define SOURCE_LIBVIRT_GUEST_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct LibvirtGuest LibvirtGuest;

typedef enum LibvirtState {
    LIBVIRT_OFF,                /* or not there any more */
    LIBVIRT_ON,
    LIBVIRT_IO_ERROR,           /* paused because of one */
} LibvirtState;

/*
 * The guest of this name or UUID; URI may be NULL, for libvirt's default.  An
 * URI of another host is of kind USAGE.
 */
LibvirtGuest *libvirt_guest_open(const char *uri, const char *name,
                                 GError **error);
void libvirt_guest_free(LibvirtGuest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibvirtGuest, libvirt_guest_free)

const char *libvirt_guest_uuid(const LibvirtGuest *guest);
/* Of this run of it; -1: it does not run. */
int libvirt_guest_id(const LibvirtGuest *guest);
/* Whether it is one of the system's libvirt, and not of a user's. */
bool libvirt_guest_is_system(const LibvirtGuest *guest);

/*
 * From now on, in the thread that has opened it, all questions together may
 * take so long, beside their own limits; 0: for ever.  A thaw has its own limit
 * alone.
 */
void libvirt_guest_set_deadline(LibvirtGuest *guest, unsigned seconds);

bool libvirt_guest_state(LibvirtGuest *guest, LibvirtState *state,
                         GError **error);

/*
 * Of the QEMU that libvirt would start, such as 702 for 7.2; 0: not told.  A
 * guest that runs since before an upgrade may have an older one.
 */
unsigned libvirt_guest_qemu_version(const LibvirtGuest *guest);

/* Its XML, as it runs or as it would be started; to be freed. */
char *libvirt_guest_xml(LibvirtGuest *guest, bool inactive, GError **error);

/* Of the disk that has this target. */
bool libvirt_guest_disk_bytes(LibvirtGuest *guest, const char *target,
                              uint64_t *bytes, GError **error);

/*
 * Starts a backup, whose XML this is, with scratch files that are there.  After
 * a failure it may be started all the same, or become so later.
 */
bool libvirt_guest_begin(LibvirtGuest *guest, const char *xml, GError **error);

/* *xml is that of the backup that runs, to be freed, or NULL. */
bool libvirt_guest_backup(LibvirtGuest *guest, char **xml, GError **error);

/* Asks for the end of the job that runs, whatever it is. */
bool libvirt_guest_abort(LibvirtGuest *guest, GError **error);

bool libvirt_guest_resume(LibvirtGuest *guest, GError **error);

/* By the agent in the guest, within SECONDS. */
bool libvirt_guest_ping(LibvirtGuest *guest, unsigned seconds, GError **error);
bool libvirt_guest_freeze(LibvirtGuest *guest, unsigned seconds,
                          int64_t *count, GError **error);
bool libvirt_guest_thaw(LibvirtGuest *guest, unsigned seconds, GError **error);

#endif /* SOURCE_LIBVIRT_GUEST_H */
