/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clusters into an archive.  Every cluster of every device has to be added
 * exactly once, in any order; that is the caller's duty.  Archives have digests
 * and an end mark (digests.md).
 *
 * The same info and the same clusters in the same order give the same bytes.
 */
#ifndef VMA_WRITER_H
#define VMA_WRITER_H

#include <glib.h>
#include <stdbool.h>

#include "backup/info.h"
#include "io/output.h"
#include "vma/parts.h"

typedef struct VmaWriter VmaWriter;

/*
 * Writes the header.  INFO and PARTS are borrowed and must outlive the writer.
 * The other one writes a plain archive: the output gets the header, then an
 * extent a write.
 */
VmaWriter *vma_writer_new_parts(const BackupInfo *info, VmaParts *parts,
                                GError **error);
VmaWriter *vma_writer_new(const BackupInfo *info, IoOutput *output,
                          GError **error);

/* What was not flushed is dropped. */
void vma_writer_free(VmaWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VmaWriter, vma_writer_free)

/*
 * Where the data of the next clusters go: room for *clusters of them, at least
 * one, belonging to the writer and valid until its next function is called.
 * Zero blocks are squeezed out there by vma_writer_add_data().
 */
uint8_t *vma_writer_room(VmaWriter *writer, unsigned *clusters, GError **error);

/*
 * Adds COUNT clusters of DEVICE from NUMBER on, whose bytes, as many as
 * backup_run_bytes() says, have been put where vma_writer_room() said.
 */
void vma_writer_add_data(VmaWriter *writer, const BackupDevice *device,
                         uint64_t number, unsigned count);

/* Adds COUNT clusters of zeroes. */
bool vma_writer_add_zero(VmaWriter *writer, const BackupDevice *device,
                         uint64_t number, uint64_t count, GError **error);

/* Writes what is left and the end mark; the output is the caller's. */
bool vma_writer_finish(VmaWriter *writer, GError **error);

/* 4 KiB blocks left out because they are zero, in bytes within the devices. */
uint64_t vma_writer_zero_bytes(const VmaWriter *writer);

#endif /* VMA_WRITER_H */
