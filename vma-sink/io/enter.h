/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a program that somebody else may use, from afar, on one folder only.
 */
#ifndef IO_ENTER_H
#define IO_ENTER_H

#include <glib.h>

/*
 * From now on this folder is where the process is, so that a name without a '/'
 * is in there and nowhere else, whatever becomes of PATH.  No symbolic link as
 * such.  Returns its descriptor; -1, of kind FAILED, on error.
 */
int io_enter_folder(const char *path, GError **error);

#endif /* IO_ENTER_H */
