/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Some disks of an archive, without reading the rest.
 */
#include "restore/pick.h"

#include <xxhash.h>

#include "backup/error.h"
#include "restore/scan.h"

/* An extent to be read, and what it has to have of the disks. */
typedef struct Part {
    uint64_t offset;
    uint64_t check;             /* check_of() */
} Part;

struct RestorePick {
    /* Set at creation, never changed. */
    const RestoreArchive *archive;
    bool selected[BACKUP_DEVICE_IDS];
    bool vmstate[BACKUP_DEVICE_IDS];
    GArray *parts;              /* of Part, in the archive's order */
    uint64_t stored_blocks;     /* of the disks, in all parts */

    IoInputCursor *cursor;      /* of the archive's input */
    guint next;                 /* part */
    uint64_t read_blocks;       /* of the disks */
    RestoreCheck *check;
    VmaExtent extent;           /* the current one, with these disks alone */
    uint8_t *buffer;            /* it as it is in the archive */
};

/* What an extent has of the disks: which blocks, and where. */
static uint64_t check_of(const RestorePick *p, const VmaExtent *extent,
                         unsigned *blocks)
{
    uint64_t words[2 * VMA_CLUSTERS_PER_EXTENT];
    unsigned count = 0;

    *blocks = 0;
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];

        if (cluster->mask && p->selected[cluster->device_id]) {
            words[count++] = (uint64_t)cluster->device_id << 32 |
                             cluster->number;
            words[count++] = (uint64_t)cluster->mask << 32 |
                             (uint64_t)cluster->slot << 16 |
                             cluster->first_block;
            *blocks += vma_mask_blocks(cluster->mask);
        }
    }
    return XXH3_64bits(words, count * sizeof(words[0]));
}

/* RestoreScanFunc */
static bool add_part(uint64_t offset, const VmaExtent *extent, void *opaque,
                     GError **error)
{
    RestorePick *p = opaque;
    unsigned blocks;
    Part part = { .offset = offset, .check = check_of(p, extent, &blocks) };

    if (blocks == 0) {
        return true;
    }
    /* An array of GLib ends the program where it can't count any more. */
    if (p->parts->len == G_MAXUINT / 2) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the archive has too many extents");
        return false;
    }
    g_array_append_val(p->parts, part);
    p->stored_blocks += blocks;
    return true;
}

/* Lets threads decompress ahead of the reading. */
static void expect_parts(const RestorePick *p)
{
    g_autoptr(GArray) offsets = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (guint i = 0; i < p->parts->len; i++) {
        g_array_append_val(offsets, g_array_index(p->parts, Part, i).offset);
    }
    io_input_cursor_expect(p->cursor, offsets);
}

bool restore_pick_new(const RestoreArchive *archive, const bool *selected,
                      RestorePick **pick, GError **error)
{
    const BackupInfo *info = restore_archive_info(archive);
    g_autoptr(RestorePick) p = g_new0(RestorePick, 1);
    bool done;

    *pick = NULL;
    p->archive = archive;
    p->parts = g_array_new(FALSE, FALSE, sizeof(Part));
    p->check = restore_check_new(info);
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        p->selected[device->id] = selected[device->id];
        p->vmstate[device->id] = restore_is_vmstate(device);
    }
    if (!restore_scan_extents(archive, add_part, p, &done, error)) {
        return false;
    }
    if (done) {
        p->buffer = g_malloc(VMA_EXTENT_MAX_BYTES);
        p->cursor = io_input_cursor_new(restore_archive_input(archive));
        expect_parts(p);
        *pick = g_steal_pointer(&p);
    }
    return true;
}

void restore_pick_free(RestorePick *p)
{
    if (p) {
        g_array_unref(p->parts);
        restore_check_free(p->check);
        io_input_cursor_free(p->cursor);
        g_free(p->buffer);
        g_free(p);
    }
}

/* Keeps what is of the disks, as far as no rule is broken. */
static bool take_clusters(RestorePick *p, const VmaExtent *extent,
                          GError **error)
{
    p->extent.block_count = extent->block_count;
    p->extent.cluster_count = 0;
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];

        if (!p->selected[cluster->device_id]) {
            continue;
        }
        /* A vmstate has an order, but for clusters without data, left out. */
        if (!p->vmstate[cluster->device_id] &&
            !restore_check_cluster(p->check, cluster, error)) {
            return false;
        }
        p->extent.clusters[p->extent.cluster_count++] = *cluster;
    }
    return true;
}

static bool read_part(RestorePick *p, const Part *part, GError **error)
{
    VmaExtent extent;
    unsigned blocks;

    if (!restore_archive_read_extent(p->archive, p->cursor, part->offset,
                                     &extent, p->buffer, error)) {
        return false;
    }
    if (check_of(p, &extent, &blocks) != part->check) {
        backup_error_set_damaged(error, "it is not what the index says, or has "
                                 "changed while it was read");
        return false;
    }
    p->read_blocks += blocks;
    return take_clusters(p, &extent, error);
}

VmaNext restore_pick_next(RestorePick *p, const VmaExtent **extent,
                          GError **error)
{
    const Part *part;

    if (p->next == p->parts->len) {
        return VMA_NEXT_END;
    }
    part = &g_array_index(p->parts, Part, p->next++);
    if (!read_part(p, part, error)) {
        g_prefix_error(error, "%s: extent at offset %" G_GUINT64_FORMAT ": ",
                       restore_archive_label(p->archive), part->offset);
        return VMA_NEXT_ERROR;
    }
    *extent = &p->extent;
    return VMA_NEXT_EXTENT;
}

const uint8_t *restore_pick_blocks(const RestorePick *p,
                                   const VmaCluster *cluster)
{
    return p->buffer + sizeof(VmaExtentHeader) +
           (size_t)cluster->first_block * VMA_BLOCK_BYTES;
}

const RestoreCheck *restore_pick_check(const RestorePick *p)
{
    return p->check;
}

void restore_pick_show(const RestorePick *p, Progress *progress)
{
    progress_update(progress, p->read_blocks * VMA_BLOCK_BYTES,
                    PROGRESS_UNKNOWN, p->stored_blocks * VMA_BLOCK_BYTES);
}
