/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output folder that exists under its name only once all its files are
 * whole: output.h's promise for several files at once.
 *
 * The files are created in a temporary folder beside it.  io_folder_finish()
 * syncs every file and the folder, renames it to its name, and syncs the folder
 * that it is in; before that, and when anything fails, there is under the name
 * nothing, or what was there before, and the temporary folder is removed.  A
 * process killed outright leaves NAME.XXXXXX.partial behind, which is claimed
 * (io/stale.h), so that a later one can tell and remove it.
 */
#ifndef IO_FOLDER_H
#define IO_FOLDER_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct IoFolder IoFolder;

/* A regular file of a folder that would be replaced. */
typedef struct IoFolderEntry {
    char *name;
    uint64_t bytes;
    /* This file, and not another one of that name or size. */
    uint64_t inode;
    int64_t changed_ns;
} IoFolderEntry;

/*
 * Whether a folder that holds these files (of IoFolderEntry), and nothing else,
 * may be removed; if not, *error says what it holds.
 */
typedef bool IoFolderMayGo(const GPtrArray *entries, GError **error);

/*
 * PATH may be a folder of regular files of which MAY_GO, unless it is NULL,
 * says so: it is replaced as a whole by finish(), and its mode is kept.
 * Whatever is known to be in the way of that is an error now.
 *
 * Of that folder exactly what MAY_GO has seen is removed, and where another one
 * has got its name meanwhile, nothing.
 */
IoFolder *io_folder_new(const char *path, IoFolderMayGo *may_go,
                        GError **error);

/* Discards the folder unless it was finished. */
void io_folder_free(IoFolder *folder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoFolder, io_folder_free)

/* Where it is until it is finished. */
const char *io_folder_temp(const IoFolder *folder);

/* Whether there was one of its name. */
bool io_folder_replaces(const IoFolder *folder);

/*
 * Creates a file and returns its descriptor, which is borrowed, for writing at
 * any offset; -1 on error.  NAME has no '/' and is new to the folder.
 */
int io_folder_add(IoFolder *folder, const char *name, GError **error);

/*
 * After this has returned true, and not before, the folder is there under its
 * name, whole, also after a loss of power.  May be called once.
 */
bool io_folder_finish(IoFolder *folder, GError **error);

/*
 * After finish(): where what was replaced is now, if not all of it is removed;
 * mostly NULL.
 */
const char *io_folder_leftover(const IoFolder *folder);

#endif /* IO_FOLDER_H */
