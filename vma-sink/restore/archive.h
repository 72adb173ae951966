/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An archive that is read from front to back and checked on the way: what comes
 * out of here obeys every rule that an archive has.  Error messages name it.
 *
 * The first thing that is wrong ends the reading, unless it is asked to go on:
 * then it passes over what is damaged and gives out the rest.
 */
#ifndef RESTORE_ARCHIVE_H
#define RESTORE_ARCHIVE_H

#include <glib.h>
#include <stdbool.h>

#include "cli/progress.h"
#include "restore/check.h"
#include "vma/reader.h"

typedef struct RestoreArchive RestoreArchive;

/*
 * Opens PATH, or takes standard input for "-", and reads the header.  A
 * terminal is refused, and what is compressed with anything but zstd.  One
 * thread decompresses.
 */
RestoreArchive *restore_archive_new(const char *path, GError **error);

/*
 * The same with a file that is open: FD is taken over, and closed also where
 * this fails.  PATH is for messages.
 */
RestoreArchive *restore_archive_new_fd(int fd, const char *path,
                                       GError **error);

/* Is told what is wrong, and where in the archive, in one sentence. */
typedef void RestoreFindingFunc(const char *finding, void *opaque);

/*
 * The same, but THREADS decompress, at least one, where there is something to,
 * and, unless FUNC is NULL, damage is told to it and ends no reading.  Left out
 * as a whole are an extent whose data does not match its digest, and one that
 * lacks bytes, for nobody knows which of its clusters are good.  Where there
 * are no digests and nothing follows an extent where something should, it is
 * given out, and FUNC is told which bytes of which disks may be wrong.
 *
 * A damaged header is gone past, too, as vma_reader_new_damaged() says.
 */
RestoreArchive *restore_archive_new_damaged(const char *path,
                                            unsigned threads,
                                            RestoreFindingFunc *func,
                                            void *opaque, GError **error);

void restore_archive_free(RestoreArchive *archive);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestoreArchive, restore_archive_free)

/* Valid as long as the archive. */
const BackupInfo *restore_archive_info(const RestoreArchive *archive);
const RestoreCheck *restore_archive_check(const RestoreArchive *archive);

/*
 * Reads and checks the next extent, which is valid until the next call.
 * VMA_NEXT_END means that the archive is good as a whole, or, where reading
 * goes on past damage, as good as restore_archive_verdict() says.
 */
VmaNext restore_archive_next(RestoreArchive *archive, const VmaExtent **extent,
                             GError **error);

/*
 * Reads and verifies the extent that is known to begin at OFFSET: its header,
 * and its data where there are digests.  BUFFER has VMA_EXTENT_MAX_BYTES and
 * gets the header and the stored blocks.  CURSOR is one of the archive's input;
 * with one each, several threads may do this, and all apart from
 * restore_archive_next().  So it is with restore_archive_read_at().
 */
bool restore_archive_read_extent(const RestoreArchive *archive,
                                 IoInputCursor *cursor, uint64_t offset,
                                 VmaExtent *extent, uint8_t *buffer,
                                 GError **error);

/* Bytes that must be there, of kind INCOMPLETE if they are not. */
bool restore_archive_read_at(IoInputCursor *cursor, void *buffer, size_t bytes,
                             uint64_t offset, GError **error);

/*
 * Takes over what is wrong with the archive, as if it was found while reading.
 * False: reading does not go on.
 */
bool restore_archive_found(RestoreArchive *archive, GError *finding,
                           GError **error);

/* Whether nothing was found; else *error is the worst kind there was. */
bool restore_archive_verdict(const RestoreArchive *archive, GError **error);

/* Shows how many of the archive's bytes have been read. */
void restore_archive_show(const RestoreArchive *archive, Progress *progress);

VmaDigestKind restore_archive_digest_kind(const RestoreArchive *archive);

/* What it is read from: the file, the bytes in it; and its header's size. */
int restore_archive_fd(const RestoreArchive *archive);
IoInput *restore_archive_input(const RestoreArchive *archive);
uint64_t restore_archive_header_bytes(const RestoreArchive *archive);

/* Where the current extent begins in the archive. */
uint64_t restore_archive_offset(const RestoreArchive *archive);

/* What messages call it. */
const char *restore_archive_label(const RestoreArchive *archive);

/* The stored blocks of a cluster of the current extent, one after another. */
const uint8_t *restore_archive_blocks(const RestoreArchive *archive,
                                      const VmaCluster *cluster);

#endif /* RESTORE_ARCHIVE_H */
