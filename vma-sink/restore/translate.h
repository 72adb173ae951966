/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command config --as: the configuration of a guest of Proxmox VE as
 * something else.
 */
#ifndef RESTORE_TRANSLATE_H
#define RESTORE_TRANSLATE_H

#include <glib.h>
#include <stdbool.h>

typedef enum RestoreTranslateForm {
    RESTORE_TRANSLATE_QEMU,     /* a command for the shell */
    RESTORE_TRANSLATE_LIBVIRT,  /* a domain's XML */
} RestoreTranslateForm;

typedef struct RestoreTranslate {
    const char *archive;        /* a path, or "-" for standard input */
    const char *config;         /* NULL: qemu-server.conf */
    const char *folder;         /* where the disks are, or will be */
    const char *here;           /* the working folder, absolute */
    const char *bridge;         /* for networks; NULL: user networking */
    RestoreTranslateForm form;
} RestoreTranslate;

/*
 * Prints the translation to standard output, and a note to standard error for
 * each thing that is not in it, or otherwise.  Reads the archive's header only.
 */
bool restore_translate(const RestoreTranslate *options, GError **error);

/* Whether NAME can be a bridge's. */
bool restore_translate_is_bridge(const char *name);

#endif /* RESTORE_TRANSLATE_H */
