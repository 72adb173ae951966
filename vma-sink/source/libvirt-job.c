/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A backup is known by its first scratch file.  Its end takes some time after
 * it was asked for, so that is asked for until it is gone.
 */
#include "source/libvirt-job.h"

#include "backup/error.h"
#include "io/io.h"
#include "source/libvirt-disks.h"

#define END_SECONDS 20
#define AGAIN_US (20 * 1000)

char *libvirt_job_encode(const GPtrArray *disks, const LibvirtScratch *scratch)
{
    GString *xml = g_string_new("<domainbackup mode='pull'>\n");
    g_autofree char *socket =
        g_markup_escape_text(libvirt_scratch_socket(scratch), -1);

    g_string_append_printf(xml, "<server transport='unix' socket='%s'/>\n"
                           "<disks>\n", socket);
    for (guint i = 0; i < disks->len; i++) {
        const LibvirtDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *target = g_markup_escape_text(disk->target, -1);
        g_autofree char *image =
            g_markup_escape_text(libvirt_scratch_image(scratch, i), -1);

        g_string_append_printf(xml, "<disk name='%s' backup='yes' type='file'>"
                               "<driver type='qcow2'/><scratch file='%s'/>"
                               "</disk>\n", target, image);
    }
    g_string_append(xml, "</disks>\n</domainbackup>\n");
    return g_string_free(xml, FALSE);
}

/* *runs: there is a backup, and *owner is whose. */
static bool query_owner(LibvirtGuest *guest, const LibvirtScratch *mine,
                        bool *runs, LibvirtOwner *owner, GError **error)
{
    g_autofree char *xml = NULL;
    g_autofree char *image = NULL;

    if (!libvirt_guest_backup(guest, &xml, error)) {
        return false;
    }
    *runs = xml != NULL;
    image = xml ? libvirt_backup_scratch(xml) : NULL;
    *owner = image ? libvirt_scratch_owner(image, libvirt_guest_uuid(guest),
                                           mine) : LIBVIRT_FOREIGN;
    return true;
}

bool libvirt_job_is_mine(LibvirtGuest *guest, const LibvirtScratch *mine,
                         bool *is_mine, GError **error)
{
    bool runs;
    LibvirtOwner owner;

    if (!query_owner(guest, mine, &runs, &owner, error)) {
        return false;
    }
    *is_mine = owner == LIBVIRT_MINE;
    return true;
}

/* One with this owner.  What libvirt refuses is tried again for a while. */
static bool end_job(LibvirtGuest *guest, const LibvirtScratch *mine,
                    LibvirtOwner wanted, GError **error)
{
    int64_t until_us = g_get_monotonic_time() + END_SECONDS * G_USEC_PER_SEC;

    for (;;) {
        g_autoptr(GError) refusal = NULL;
        bool runs, asked;
        LibvirtOwner owner;

        if (!query_owner(guest, mine, &runs, &owner, error)) {
            return false;
        }
        if (!runs || owner != wanted) {
            return true;
        }
        asked = libvirt_guest_abort(guest, &refusal);
        if (!asked && g_get_monotonic_time() >= until_us) {
            g_propagate_error(error, g_steal_pointer(&refusal));
            return false;
        }
        if (g_get_monotonic_time() >= until_us) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "it does not end");
            return false;
        }
        g_usleep(AGAIN_US);
    }
}

bool libvirt_job_end(LibvirtGuest *guest, const LibvirtScratch *mine,
                     GError **error)
{
    return end_job(guest, mine, LIBVIRT_MINE, error);
}

bool libvirt_job_resume(LibvirtGuest *guest, GError **error)
{
    LibvirtState state;

    return libvirt_guest_state(guest, &state, error) &&
           (state != LIBVIRT_IO_ERROR || libvirt_guest_resume(guest, error));
}

bool libvirt_job_end_left(LibvirtGuest *guest, GError **error)
{
    bool runs;
    LibvirtOwner owner;

    if (!query_owner(guest, NULL, &runs, &owner, error)) {
        return false;
    }
    if (!runs) {
        return true;
    }
    if (owner != LIBVIRT_ABANDONED) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "libvirt has a backup of this guest already, by %s; wait "
                    "for its end, or end it with 'virsh domjobabort'",
                    owner == LIBVIRT_RUNNING ? "another vma-dump"
                                             : "somebody else");
        return false;
    }
    /* Its image may have got full, with nobody there to let the guest go on. */
    if (!end_job(guest, NULL, LIBVIRT_ABANDONED, error) ||
        !libvirt_job_resume(guest, error)) {
        g_prefix_error(error, "cannot end what an earlier backup has left in "
                       "libvirt: ");
        return false;
    }
    return true;
}
