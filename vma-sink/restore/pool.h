/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive whose disks are read at any place, by any number of threads at
 * once.  All functions but new and free are for any thread.
 */
#ifndef RESTORE_POOL_H
#define RESTORE_POOL_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/info.h"

typedef struct RestorePool RestorePool;

/*
 * Opens an archive, which must be seekable, and checks and indexes it as
 * restore_scan() does.  What is kept of its data has CACHE_BYTES together, or
 * one extent and one frame where that is more; besides there is the index.  No
 * thread is left running, so the process may fork.  NULL: *error is of any kind.
 */
RestorePool *restore_pool_new(const char *path, uint64_t cache_bytes,
                              GError **error);

/* The same with a file that is open, as restore_archive_new_fd() takes it. */
RestorePool *restore_pool_new_fd(int fd, const char *path,
                                 uint64_t cache_bytes, GError **error);

void restore_pool_free(RestorePool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestorePool, restore_pool_free)

/* Valid as long as the pool, and the same all the time. */
const BackupInfo *restore_pool_info(const RestorePool *pool);

/* A device's size; of a vmstate, where the archive's data of it ends. */
uint64_t restore_pool_size(const RestorePool *pool, const BackupDevice *device);

/* As vma_index_run(), with FROM at any byte within the device. */
bool restore_pool_run(const RestorePool *pool, const BackupDevice *device,
                      uint64_t from, uint64_t limit, uint64_t *end);

/*
 * As restore_random_read(), within the device's size.  It may wait for others
 * that read.  An error is of what was asked for, and the next read is as good
 * as any.
 */
bool restore_pool_read(RestorePool *pool, const BackupDevice *device,
                       uint64_t offset, void *buffer, size_t bytes,
                       GError **error);

#endif /* RESTORE_POOL_H */
