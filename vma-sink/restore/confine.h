/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the commands open by a path once they read an archive.  All that these
 * functions leave to them is in their arguments; see confine/confine.h.
 */
#ifndef RESTORE_CONFINE_H
#define RESTORE_CONFINE_H

#include <glib.h>
#include <stdbool.h>

#include "confine/confine.h"
#include "restore/restore.h"

/* To be freed; ARCHIVE may be read, if it is none of the standard input. */
Confine *restore_confine_new(const char *archive);

/* For a command that writes OUTPUT, or nothing (NULL). */
bool restore_confine(const char *archive, const char *output, GError **error);

bool restore_confine_extract(const RestoreExtract *options, GError **error);

#endif /* RESTORE_CONFINE_H */
