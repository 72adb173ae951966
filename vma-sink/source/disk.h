/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that nobody writes to while it is read, as a source of a stream: a
 * raw image (image.h), or what an NBD server exports (nbd.h).
 */
#ifndef SOURCE_DISK_H
#define SOURCE_DISK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"
#include "cli/progress.h"
#include "wire/writer.h"

typedef struct Disk Disk;

typedef struct DiskTotals DiskTotals;

/* Called often while disks are sent.  False ends it. */
typedef bool DiskWatchFunc(void *opaque, const DiskTotals *totals,
                           GError **error);

/* What all disks of a backup have sent, for the progress. */
struct DiskTotals {
    uint64_t done_bytes;
    uint64_t zero_bytes;        /* of done_bytes */
    /* Set by the caller. */
    uint64_t total_bytes;       /* sum of the sizes */
    DiskWatchFunc *watch;       /* NULL: none */
    void *opaque;               /* for it */
};

typedef struct DiskOptions {
    /* For images, see image.h; an NBD server is not asked. */
    bool any_content;           /* also what is no raw image by its looks */
    bool force_share;           /* also what is in use */
    /* For exports. */
    bool snapshot;              /* QEMU keeps it only to be read once, by us */
    bool by_clusters;           /* only answers about one cluster are right */
    bool no_extents;            /* a question about zeroes does harm */
    bool overlay;               /* of a disk that is written to; see nbd.c */
    const char *name;           /* what messages call it; NULL: the source */
} DiskOptions;

/*
 * SOURCE is an NBD URI or a path.  NULL with kind USAGE where it makes no sense
 * as either.
 */
Disk *disk_open(const char *source, const DiskOptions *options,
                GError **error);
void disk_free(Disk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Disk, disk_free)

/* The source, fit for a message: without a password. */
const char *disk_name(const Disk *disk);

/*
 * The size of the disk: the source's, rounded up to whole sectors of 512 bytes
 * as QEMU does; what the source lacks, disk_padding_bytes(), reads as zeroes.
 */
uint64_t disk_size_bytes(const Disk *disk);
unsigned disk_padding_bytes(const Disk *disk);

/*
 * Sends all clusters and the device's end.  DEVICE has this disk's size.  Once
 * for each disk.
 */
bool disk_send(Disk *disk, WireWriter *writer, const BackupDevice *device,
               DiskTotals *totals, Progress *progress, GError **error);

/* For the kinds of disks. */

/* A disk on its way into the stream. */
typedef struct DiskSender DiskSender;

typedef struct DiskKind {
    /* Sends every cluster, with the two functions below. */
    bool (*send)(Disk *disk, DiskSender *sender, GError **error);
    void (*free)(Disk *disk);
} DiskKind;

/* The first member of every kind's struct; set at creation, never changed. */
struct Disk {
    const DiskKind *kind;
    char *name;                 /* owned; see disk_name() */
    uint64_t source_bytes;
};

/* COUNT clusters from FIRST on are zeroes; any number, also none. */
void disk_send_zeroes(DiskSender *sender, uint64_t first, uint64_t count);

/*
 * COUNT clusters from FIRST on, at most WIRE_DATA_MAX_CLUSTERS, whose bytes are
 * in BUFFER as far as the source has them; it has room for whole clusters, and
 * what lies behind the end of the source is filled in here.  Clusters of zeroes
 * are found and go into the same runs as those around them.  Blocks as long as
 * the stream's reader does not read; BUFFER is not needed any more afterwards.
 */
bool disk_send_data(DiskSender *sender, uint64_t first, uint64_t count,
                    uint8_t *buffer, GError **error);

#endif /* SOURCE_DISK_H */
