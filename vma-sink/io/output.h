/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output file that exists under its name only once it is whole.
 *
 * Data goes to a temporary file in the target's folder.  io_output_finish()
 * syncs it, renames it to its name, and syncs the folder; before that, and when
 * anything fails, nothing is to be seen under the name and the temporary file
 * is removed.  A process killed outright leaves NAME.XXXXXX.partial behind, which
 * is claimed (io/stale.h), so that a later one can tell and remove it.
 *
 * "-" is standard output: written as it comes, with nothing to commit.
 */
#ifndef IO_OUTPUT_H
#define IO_OUTPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/quota.h"

typedef struct IoOutput IoOutput;

/*
 * OVERWRITE permits PATH to exist: it is replaced by finish(), and its mode is
 * kept.  A file that comes into being meanwhile is an error in finish().  None
 * is created below /dev, but for /dev/shm.
 */
IoOutput *io_output_new(const char *path, bool overwrite, GError **error);

/*
 * The same for a file in FOLDER whose name is known later: it needs one before
 * anything else is done with it.
 */
IoOutput *io_output_new_unnamed(const char *folder, GError **error);

/* PATH is in that folder; OVERWRITE as above, also in what is an error now. */
bool io_output_set_path(IoOutput *output, const char *path, bool overwrite,
                        GError **error);

/*
 * Has finish() open nothing any more, for a program that is confined before;
 * at the cost of a descriptor.
 */
bool io_output_hold_folder(IoOutput *output, GError **error);

/* Discards the output unless it was finished. */
void io_output_free(IoOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoOutput, io_output_free)

/* From now on appending takes from QUOTA, which is borrowed. */
void io_output_set_quota(IoOutput *output, IoQuota *quota);

/* Appends.  Ownership of the buffer stays with the caller. */
bool io_output_write(IoOutput *output, const void *buffer, size_t bytes,
                     GError **error);

/* Bytes appended so far. */
uint64_t io_output_bytes(const IoOutput *output);

/* Whether it is a regular file, no pipe or device: a write to it ends soon. */
bool io_output_is_file(const IoOutput *output);

/* Where it is until it is finished; NULL: it is standard output. */
const char *io_output_temp(const IoOutput *output);

/* For writes at an offset; borrowed. */
int io_output_fd(const IoOutput *output);
const char *io_output_path(const IoOutput *output);

/*
 * After this has returned true, and not before, the file is there under its
 * name, whole, also after a loss of power.  May be called once.
 */
bool io_output_finish(IoOutput *output, GError **error);

#endif /* IO_OUTPUT_H */
