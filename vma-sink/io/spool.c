/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file is a row of slots of a piece each.  One that becomes free is punched
 * out of the file and used again, the last one first: so the file takes as much
 * space as there are pieces in it, and never gets longer than the most that
 * there were, also where holes can't be punched.
 *
 * Some file systems tell that a write failed only after it was done, and then
 * read as zeroes or as what was there before.  So each piece has a hash.
 */
#include "io/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include "backup/error.h"
#include "io/io.h"

struct IoSpool {
    /* Set at creation, never changed. */
    char *folder;
    int fd;
    size_t piece_bytes;
    uint64_t slot_limit;

    char *failure;              /* of the thread that puts */

    GMutex lock;
    /* Protected by lock. */
    uint64_t slots;             /* that were ever used */
    GArray *free_slots;         /* of uint64_t, below slots */
};

IoSpool *io_spool_new(const char *folder, uint64_t limit_bytes,
                      size_t piece_bytes, GError **error)
{
    int fd = io_open_nameless(folder);
    IoSpool *s;

    if (fd < 0) {
        backup_error_set_errno(error, errno,
                               "cannot create a temporary file in '%s'",
                               folder);
        return NULL;
    }
    s = g_new0(IoSpool, 1);
    s->folder = g_strdup(folder);
    s->fd = fd;
    s->piece_bytes = piece_bytes;
    s->slot_limit = MIN(limit_bytes, INT64_MAX) / piece_bytes;
    s->free_slots = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    g_mutex_init(&s->lock);
    return s;
}

void io_spool_free(IoSpool *s)
{
    if (s) {
        close(s->fd);
        g_array_free(s->free_slots, TRUE);
        g_mutex_clear(&s->lock);
        g_free(s->failure);
        g_free(s->folder);
        g_free(s);
    }
}

static bool take_slot(IoSpool *s, uint64_t *slot)
{
    GArray *unused = s->free_slots;
    bool ok = true;

    g_mutex_lock(&s->lock);
    if (unused->len > 0) {
        *slot = g_array_index(unused, uint64_t, unused->len - 1);
        g_array_set_size(unused, unused->len - 1);
    } else if (s->slots < s->slot_limit) {
        *slot = s->slots++;
    } else {
        ok = false;
    }
    g_mutex_unlock(&s->lock);
    return ok;
}

/* Returns 0 or an errno value. */
static int write_slot(IoSpool *s, const uint8_t *data, uint64_t slot)
{
    off_t start = slot * s->piece_bytes;

    for (size_t done = 0; done < s->piece_bytes; ) {
        ssize_t n = pwrite(s->fd, data + done, s->piece_bytes - done,
                           start + done);

        if (n < 0 && errno != EINTR) {
            return errno;
        }
        done += MAX(n, 0);
    }
    return 0;
}

/* That there is no room is no failure: there may be some later. */
static bool is_full(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
}

bool io_spool_put(IoSpool *s, const void *data, IoSpoolPlace *place)
{
    int errnum;

    if (s->failure || !take_slot(s, &place->slot)) {
        return false;
    }
    errnum = write_slot(s, data, place->slot);
    if (errnum != 0) {
        io_spool_drop(s, place);
        if (!is_full(errnum)) {
            s->failure = g_strdup_printf("cannot write to the temporary file "
                                         "in '%s': %s", s->folder,
                                         g_strerror(errnum));
        }
        return false;
    }
    place->hash = XXH64(data, s->piece_bytes, 0);
    return true;
}

bool io_spool_get(IoSpool *s, const IoSpoolPlace *place, void *data,
                  GError **error)
{
    size_t got;

    if (!io_pread(s->fd, data, s->piece_bytes, place->slot * s->piece_bytes,
                  &got, error)) {
        g_prefix_error(error, "cannot read the temporary file in '%s': ",
                       s->folder);
        return false;
    }
    if (got < s->piece_bytes ||
        XXH64(data, s->piece_bytes, 0) != place->hash) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the temporary file in '%s' does not hold what was written "
                    "to it", s->folder);
        return false;
    }
    return true;
}

void io_spool_drop(IoSpool *s, const IoSpoolPlace *place)
{
    /* Only to save space: a refusal changes nothing. */
    (void)fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    place->slot * s->piece_bytes, s->piece_bytes);
    g_mutex_lock(&s->lock);
    g_array_append_val(s->free_slots, place->slot);
    g_mutex_unlock(&s->lock);
}

const char *io_spool_failure(const IoSpool *s)
{
    return s->failure;
}
