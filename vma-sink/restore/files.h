/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of one restore, in one folder or anywhere: they get their names
 * together or not at all.
 */
#ifndef RESTORE_FILES_H
#define RESTORE_FILES_H

#include <glib.h>
#include <stdbool.h>

#include "io/output.h"

typedef struct RestoreFiles RestoreFiles;

/*
 * Creates FOLDER, which may be NULL, if it is missing.  OVERWRITE permits files
 * to be replaced.
 */
RestoreFiles *restore_files_new(const char *folder, bool overwrite,
                                GError **error);

/* Unless they are finished, removes what was created, the folder as well. */
void restore_files_free(RestoreFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreFiles, restore_files_free)

/*
 * A new file, which the set owns: in the folder, where NAME has no '/', or of
 * any path.
 */
IoOutput *restore_files_add(RestoreFiles *files, const char *name,
                            GError **error);
IoOutput *restore_files_add_path(RestoreFiles *files, const char *path,
                                 GError **error);

guint restore_files_count(const RestoreFiles *files);

/*
 * After this has returned true, and not before, all files are there under their
 * names, also after a loss of power.  When it fails none is, except for those
 * that have replaced another one already: *restored is how many.
 */
bool restore_files_finish(RestoreFiles *files, guint *restored,
                          GError **error);

#endif /* RESTORE_FILES_H */
