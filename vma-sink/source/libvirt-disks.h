/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the XML of a guest of libvirt tells of its disks, and which of them are
 * to be backed up.
 */
#ifndef SOURCE_LIBVIRT_DISKS_H
#define SOURCE_LIBVIRT_DISKS_H

#include <glib.h>
#include <stdbool.h>

typedef struct LibvirtDisk {
    char *name;                 /* what the backup calls it; as all, owned */
    char *target;               /* what libvirt calls it: "vda" */
    char *alias;                /* NULL: none */
    char *kind;                 /* "disk", "cdrom", "floppy" or "lun" */
    char *source;               /* "file", "block", ... */
    char *error_policy;         /* NULL: the default */
    bool inserted;
    bool read_only;
    bool shareable;             /* other guests may write to it */
} LibvirtDisk;

typedef struct LibvirtXml {
    GPtrArray *disks;           /* of LibvirtDisk, in the order of the XML */
    char *name;                 /* the guest's */
    bool io_threads;            /* it has some */
    char *dac_label;            /* QEMU's USER:GROUP; NULL: not told */
} LibvirtXml;

/* XML is that of a guest that runs. */
LibvirtXml *libvirt_xml_parse(const char *xml, GError **error);
void libvirt_xml_free(LibvirtXml *xml);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibvirtXml, libvirt_xml_free)

/*
 * An array of LibvirtDisk, borrowed from XML: those that are named in DEVICES,
 * NULL-terminated, by target or alias, in this order and by these names; or,
 * where that is NULL, all that the guest can write to.  NULL on an error, also
 * where there is none.
 */
GPtrArray *libvirt_disks_choose(LibvirtXml *xml, char **devices,
                                GError **error);

/* The first scratch file that the XML of a backup has, to be freed; or NULL. */
char *libvirt_backup_scratch(const char *xml);

#endif /* SOURCE_LIBVIRT_DISKS_H */
