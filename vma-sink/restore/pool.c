/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive whose disks are read by several threads at once.
 *
 * The file is opened once, and the index made once; both are shared, and only
 * read from then on (but for the checks in the index, which any thread may
 * set).  What one thread alone can use, the kept extents and the decompressor,
 * is a reader.  A request takes one for as long as it lasts: best one that has
 * the extent where the request begins.  If another request begins in the same
 * extent right now it is waited for: it loads the extent, and both would load
 * it otherwise.  So who reads a disk in order, with many requests ahead, has
 * each extent read and decompressed once, and different extents at once.
 */
#include "restore/pool.h"

#include "restore/archive.h"
#include "restore/check.h"
#include "restore/random.h"
#include "restore/scan.h"

/* As many as processors, within this.  With few, some wait for the disk. */
#define READERS_MIN 4u
#define READERS_MAX 16u

/* Looking for an extent takes time, too. */
#define EXTENTS_MAX 1024u

#define NO_EXTENT UINT32_MAX

/* All but RANDOM's inside is protected by the pool's lock. */
typedef struct Reader {
    RestoreRandom *random;      /* of the request while busy */
    bool busy;
    uint32_t extent;            /* busy: where the request begins */
    uint64_t last_use;
} Reader;

struct RestorePool {
    /* Set at creation, never changed. */
    RestoreArchive *archive;
    VmaIndex *index;
    unsigned max_readers;
    unsigned extents;           /* of each reader */

    GMutex lock;
    GCond released;
    /* Protected by the lock. */
    unsigned readers;
    uint64_t uses;
    Reader reader[READERS_MAX];
};

/* Rather fewer readers than one with no room for an extent. */
static void divide(RestorePool *pool, uint64_t cache_bytes)
{
    uint64_t frame = io_input_frame_bytes(restore_archive_input(pool->archive));
    uint64_t fit = cache_bytes / (frame + VMA_EXTENT_MAX_BYTES);
    unsigned wanted = CLAMP(g_get_num_processors(), READERS_MIN, READERS_MAX);
    uint64_t share;

    pool->max_readers = CLAMP(fit, 1, wanted);
    share = cache_bytes / pool->max_readers;
    share -= MIN(share, frame);
    pool->extents = CLAMP(share / VMA_EXTENT_MAX_BYTES, 1, EXTENTS_MAX);
}

/* Takes ARCHIVE, which may be NULL: then *error is set. */
static RestorePool *pool_new(RestoreArchive *archive, uint64_t cache_bytes,
                             GError **error)
{
    g_autoptr(RestorePool) pool = g_new0(RestorePool, 1);

    g_mutex_init(&pool->lock);
    g_cond_init(&pool->released);
    pool->archive = archive;
    if (!pool->archive) {
        return NULL;
    }
    pool->index = restore_scan(pool->archive, error);
    if (!pool->index) {
        return NULL;
    }
    /* A header that is not in the first frame was read by threads. */
    io_input_stop(restore_archive_input(pool->archive));
    divide(pool, cache_bytes);
    return g_steal_pointer(&pool);
}

RestorePool *restore_pool_new(const char *path, uint64_t cache_bytes,
                              GError **error)
{
    return pool_new(restore_archive_new(path, error), cache_bytes, error);
}

RestorePool *restore_pool_new_fd(int fd, const char *path,
                                 uint64_t cache_bytes, GError **error)
{
    return pool_new(restore_archive_new_fd(fd, path, error), cache_bytes,
                    error);
}

void restore_pool_free(RestorePool *pool)
{
    if (!pool) {
        return;
    }
    for (unsigned i = 0; i < pool->readers; i++) {
        restore_random_free(pool->reader[i].random);
    }
    vma_index_free(pool->index);
    restore_archive_free(pool->archive);
    g_cond_clear(&pool->released);
    g_mutex_clear(&pool->lock);
    g_free(pool);
}

const BackupInfo *restore_pool_info(const RestorePool *pool)
{
    return restore_archive_info(pool->archive);
}

uint64_t restore_pool_size(const RestorePool *pool, const BackupDevice *device)
{
    return restore_is_vmstate(device) ? vma_index_end(pool->index, device->id)
                                      : device->size_bytes;
}

bool restore_pool_run(const RestorePool *pool, const BackupDevice *device,
                      uint64_t from, uint64_t limit, uint64_t *end)
{
    return vma_index_run(pool->index, device->id,
                         from / VMA_BLOCK_BYTES * VMA_BLOCK_BYTES, limit, end);
}

/* --- Readers --- */

/*
 * The best one that is idle: that has the extent, else the one that was not
 * used for longest.  NULL: none is, or *wait for one that reads this extent.
 */
static Reader *find_idle(RestorePool *pool, uint32_t extent, bool *wait)
{
    Reader *best = NULL;
    bool best_has = false;

    *wait = false;
    for (unsigned i = 0; i < pool->readers; i++) {
        Reader *reader = &pool->reader[i];
        bool has;

        if (reader->busy) {
            *wait = *wait || (extent != NO_EXTENT && reader->extent == extent);
            continue;
        }
        has = extent != NO_EXTENT && restore_random_has(reader->random, extent);
        if (!best || (has && !best_has) ||
            (has == best_has && reader->last_use < best->last_use)) {
            best = reader;
            best_has = has;
        }
    }
    return *wait ? NULL : best;
}

static Reader *take(RestorePool *pool, uint32_t extent)
{
    Reader *reader;
    bool wait;

    g_mutex_lock(&pool->lock);
    while (!(reader = find_idle(pool, extent, &wait))) {
        if (!wait && pool->readers < pool->max_readers) {
            reader = &pool->reader[pool->readers++];
            reader->random = restore_random_new(pool->archive, pool->index,
                                                pool->extents);
            break;
        }
        g_cond_wait(&pool->released, &pool->lock);
    }
    reader->busy = true;
    reader->extent = extent;
    g_mutex_unlock(&pool->lock);
    return reader;
}

static void release(RestorePool *pool, Reader *reader)
{
    g_mutex_lock(&pool->lock);
    reader->busy = false;
    reader->last_use = ++pool->uses;
    /* They wait for different things. */
    g_cond_broadcast(&pool->released);
    g_mutex_unlock(&pool->lock);
}

bool restore_pool_read(RestorePool *pool, const BackupDevice *device,
                       uint64_t offset, void *buffer, size_t bytes,
                       GError **error)
{
    VmaPlace place;
    uint32_t extent = vma_index_find(pool->index, device->id,
                                     offset / VMA_CLUSTER_BYTES, &place)
                      ? place.extent : NO_EXTENT;
    Reader *reader = take(pool, extent);
    bool ok = restore_random_read(reader->random, device->id, offset, buffer,
                                  bytes, error);

    release(pool, reader);
    return ok;
}
