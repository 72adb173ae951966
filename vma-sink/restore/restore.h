/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of vma-restore.  ARCHIVE is a path, or "-" for standard input;
 * results go to standard output, which is flushed when they return true.
 */
#ifndef RESTORE_RESTORE_H
#define RESTORE_RESTORE_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "cli/progress.h"
#include "restore/connections.h"
#include "vma/extent.h"

/*
 * Prints what the archive's header tells, and of a file whether its end mark is
 * there; reads nothing else.  With JSON as one object, see list.c.
 */
bool restore_list(const char *archive, bool json, GError **error);

/*
 * Prints the config NAME, or where NAME is NULL all of them: a single one as it
 * is, several with a line "==> NAME <==" before each.  Reads the header only.
 */
bool restore_config(const char *archive, const char *name, GError **error);

/*
 * Reads and checks the whole archive, past whatever is damaged, and prints what
 * was found, what of which disk is lost, and how far the check goes.  THREADS
 * decompress.  False if anything was found.
 */
bool restore_verify(const char *archive, unsigned threads, Progress *progress,
                    GError **error);

/*
 * Restores the disks named in DISKS (ends in NULL), or all disks and configs
 * where DISKS is NULL.  Each of DISKS is NAME, which goes to a file in FOLDER,
 * or NAME=TARGET: a file, a block device, an NBD URI, or "-" for standard
 * output.  FOLDER is created if it is missing, and NULL if nothing goes there.
 *
 * Of an archive that is a file, and has an index if it is compressed, only what
 * holds the disks in DISKS is read and checked; otherwise all of it.
 *
 * Every file gets its name only after all that was read and found good, and all
 * other targets are whole; when this fails there is none, nor the
 * folder if it was created here.  Block devices and NBD exports are overwritten
 * as the archive is read, once everything that can be checked before was; the
 * error tells which of them were.  OVERWRITE permits that, and files to be
 * replaced.  ZEROED: they read as zeroes already.
 *
 * With SALVAGE a damaged archive gives what is whole; what is lost is zeroes,
 * is listed on standard error, and makes this return false.
 */
typedef struct RestoreRange {
    uint64_t offset;
    uint64_t bytes;             /* at least 1 */
} RestoreRange;

typedef struct RestoreExtract RestoreExtract;

/*
 * Called once it is known what is in the archive, and before anything is
 * created: may fill in, of a copy of the options, what depends on that.
 */
typedef bool RestorePrepareFunc(const BackupInfo *info,
                                RestoreExtract *options, void *opaque,
                                GError **error);

/* Called for each extent that was restored. */
typedef void RestoreSeenFunc(const VmaExtent *extent, void *opaque);

/* With RANGE the one disk that is named gives no more than these bytes. */
struct RestoreExtract {
    const char *archive;
    const char *folder;
    const char *const *disks;
    bool configs;               /* also where disks are named */
    const RestoreRange *range;  /* NULL: all */
    bool overwrite;
    bool zeroed;
    bool salvage;
    bool quiet;                 /* no summary at the end */
    unsigned threads;           /* that decompress */
    /* To NBD servers; without OVERWRITE there is none. */
    RestoreConnections *connections;
    Progress *progress;
    RestorePrepareFunc *prepare;        /* NULL: there is nothing to fill in */
    RestoreSeenFunc *seen;              /* NULL: nobody wants to know */
    void *opaque;                       /* for both */
};

bool restore_extract(const RestoreExtract *options, GError **error);

/*
 * Prints which bytes of a disk the archive has data of, all others being zeroes.
 * DISK may be NULL where there is only one.
 */
typedef enum RestoreMapForm {
    RESTORE_MAP_TEXT,
    RESTORE_MAP_JSON,           /* as "qemu-img map --output=json" */
    RESTORE_MAP_PICTURE,
} RestoreMapForm;

bool restore_map(const char *archive, const char *disk, RestoreMapForm form,
                 GError **error);

/*
 * Becomes nbdkit, with our plugin, that serves the archive's disks until it is
 * ended: at SOCKET, or (SOCKET is NULL) as long as the shell's COMMAND runs.
 * DISK is the default export, or NULL.  Returns only if that fails.
 */
typedef struct RestoreServe {
    const char *archive;
    const char *disk;
    const char *socket;
    const char *command;
    const char *cache_size;     /* for the plugin; NULL: its own */
} RestoreServe;

bool restore_serve(const RestoreServe *options, GError **error);

#endif /* RESTORE_RESTORE_H */
