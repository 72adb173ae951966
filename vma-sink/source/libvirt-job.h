/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backup job in libvirt: how it is described, whose it is, and its end.
 */
#ifndef SOURCE_LIBVIRT_JOB_H
#define SOURCE_LIBVIRT_JOB_H

#include <glib.h>
#include <stdbool.h>

#include "source/libvirt-guest.h"
#include "source/libvirt-scratch.h"

/* The XML of one in pull mode of DISKS, of LibvirtDisk; to be freed. */
char *libvirt_job_encode(const GPtrArray *disks, const LibvirtScratch *scratch);

/* Whether one that is ours, MINE being what was made for it, runs now. */
bool libvirt_job_is_mine(LibvirtGuest *guest, const LibvirtScratch *mine,
                         bool *is_mine, GError **error);

/* Ends it, and waits for that.  Where none of ours runs nothing is done. */
bool libvirt_job_end(LibvirtGuest *guest, const LibvirtScratch *mine,
                     GError **error);

/*
 * After the end: lets a guest go on that is paused because of an I/O error,
 * which the backup may have been the reason for.  If it was not the guest is
 * paused again, and nothing is lost.
 */
bool libvirt_job_resume(LibvirtGuest *guest, GError **error);

/*
 * Ends one that an earlier vma-dump, which is gone, has left.  Any other one is
 * an error, and is left alone.
 */
bool libvirt_job_end_left(LibvirtGuest *guest, GError **error);

#endif /* SOURCE_LIBVIRT_JOB_H */
