/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of a compressed archive (vma/seekable.md), brought into memory.
 */
#ifndef RESTORE_SEEK_H
#define RESTORE_SEEK_H

#include <glib.h>
#include <stdbool.h>

#include "restore/archive.h"
#include "vma/index.h"

/*
 * Adds all clusters with data to INDEX, which is not finished here.  *found says
 * whether the archive has an index; most have none, which is no error.  False,
 * of kind DAMAGED: it has one that is wrong or of another archive.
 */
bool restore_seek_load(const RestoreArchive *archive, VmaIndex *index,
                       bool *found, GError **error);

/* The same checks alone. */
bool restore_seek_verify(const RestoreArchive *archive, GError **error);

#endif /* RESTORE_SEEK_H */
