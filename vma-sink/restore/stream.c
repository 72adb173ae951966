/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk to standard output.  An archive has clusters in the order in which
 * they were saved, so they are read through an index.
 */
#include "restore/stream.h"

#include "io/io.h"
#include "io/output.h"
#include "restore/check.h"
#include "restore/random.h"
#include "restore/scan.h"

#define BUFFER_BYTES (1u << 20)

static const uint8_t zeroes[BUFFER_BYTES];

/* The bytes from FROM to TO, all stored or all zeroes. */
static bool write_run(RestoreRandom *random, uint8_t id, IoOutput *output,
                      uint8_t *buffer, bool stored, uint64_t from, uint64_t to,
                      GError **error)
{
    while (from < to) {
        size_t part = MIN(to - from, BUFFER_BYTES);

        if ((stored && !restore_random_read(random, id, from, buffer, part,
                                            error)) ||
            !io_output_write(output, stored ? buffer : zeroes, part, error)) {
            return false;
        }
        from += part;
    }
    return true;
}

static bool write_disk(RestoreRandom *random, const VmaIndex *index,
                       uint8_t id, uint64_t size_bytes, IoOutput *output,
                       Progress *progress, uint64_t *zero, GError **error)
{
    g_autofree uint8_t *buffer = g_malloc(BUFFER_BYTES);
    uint64_t end;

    for (uint64_t from = 0; from < size_bytes; from = end) {
        bool stored = vma_index_run(index, id, from, size_bytes, &end);

        end = MIN(end, size_bytes);
        progress_update(progress, from, *zero, size_bytes);
        *zero += stored ? 0 : end - from;
        if (!write_run(random, id, output, buffer, stored, from, end, error)) {
            return false;
        }
    }
    progress_update(progress, size_bytes, *zero, size_bytes);
    return io_output_finish(output, error);
}

bool restore_stream(const RestoreArchive *archive, const BackupDevice *device,
                    Progress *progress, uint64_t *bytes, uint64_t *zero,
                    GError **error)
{
    g_autoptr(IoOutput) output = io_output_new("-", false, error);
    g_autoptr(VmaIndex) index = output ? restore_scan(archive, error) : NULL;
    g_autoptr(RestoreRandom) random = NULL;
    bool ok;

    *bytes = *zero = 0;
    if (!index) {
        return false;
    }
    random = restore_random_new(archive, index);
    io_enlarge_pipe(io_output_fd(output));
    ok = write_disk(random, index, device->id, restore_is_vmstate(device)
                    ? vma_index_end(index, device->id) : device->size_bytes,
                    output, progress, zero, error);
    *bytes = io_output_bytes(output);
    return ok;
}
