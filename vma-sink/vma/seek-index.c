/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The index of a compressed archive, read and held to its rules.
 *
 * Runs stay in memory as they are in the file, and are decoded one at a time;
 * so a lookup is a binary search over the file's own bytes.
 */
#include "vma/seek-index.h"

#include "backup/error.h"
#include "io/io.h"
#include "vma/seek-index-format.h"

#define MASK_FULL 0xffff
#define DEVICE_ID_MAX 254

struct VmaSeekIndex {
    GBytes *bytes;
    const SeekRawRun *runs;     /* in bytes */
    uint32_t count;
    uuid_t uuid;
    VmaSeekTotals totals;
};

static VmaSeekRun decode_run(const SeekRawRun *raw)
{
    VmaSeekRun run = {
        .device_id = raw->device_id,
        .mask = GUINT16_FROM_LE(raw->mask),
        .number = GUINT32_FROM_LE(raw->first),
        .slot = raw->slot,
        .frame = GUINT32_FROM_LE(raw->frame),
        .extent_offset = GUINT32_FROM_LE(raw->extent_offset),
    };

    run.count = (uint64_t)GUINT32_FROM_LE(raw->last) - run.number + 1;
    if (run.mask) {
        run.block_offset = run.extent_offset + sizeof(VmaExtentHeader) +
                           GUINT16_FROM_LE(raw->first_block) * VMA_BLOCK_BYTES;
    }
    return run;
}

static bool set_bad(GError **error, const char *what)
{
    backup_error_set_damaged(error, "bad index of the archive: %s", what);
    return false;
}

static bool set_bad_run(GError **error, uint32_t i, const char *what)
{
    backup_error_set_damaged(error, "bad index of the archive: run %u %s", i,
                             what);
    return false;
}

/* Header, extents' headers and blocks make up an archive of that size. */
static bool totals_fit(const VmaSeekTotals *totals, uint64_t header_bytes)
{
    uint64_t left = totals->bytes - header_bytes;

    return header_bytes <= totals->bytes &&
           totals->extents <= left / sizeof(VmaExtentHeader) &&
           totals->blocks <= left / VMA_BLOCK_BYTES &&
           left == totals->extents * sizeof(VmaExtentHeader) +
                   totals->blocks * VMA_BLOCK_BYTES;
}

/* What it says of the file, against the file. */
static bool check_header(const VmaSeekIndex *index, const SeekHeader *header,
                         const IoZstdTable *table, GError **error)
{
    uint32_t frames = GUINT32_FROM_LE(header->frames);
    uint8_t digest[16];

    if (header->reserved) {
        return set_bad(error, "a reserved field is not zero");
    }
    if (frames < 1 || (uint64_t)frames + 1 != io_zstd_table_frames(table)) {
        return set_bad(error, "it is for another number of frames");
    }
    if (index->totals.bytes !=
        io_zstd_table_frame(table, frames).content_offset ||
        !totals_fit(&index->totals,
                    io_zstd_table_frame(table, 0).content_bytes)) {
        return set_bad(error, "it is for an archive of another size");
    }
    io_zstd_table_digest(table, frames, digest);
    if (memcmp(digest, header->table_digest, sizeof(digest)) != 0) {
        return set_bad(error, "the seek table does not match its digest");
    }
    return true;
}

/* The blocks of all the run's clusters lie within the extent and the frame. */
static bool check_place(const SeekRawRun *raw, const VmaSeekRun *run,
                        uint32_t i, const IoZstdTable *table, GError **error)
{
    uint64_t end;

    if (run->count > VMA_CLUSTERS_PER_EXTENT ||
        run->slot + run->count > VMA_CLUSTERS_PER_EXTENT) {
        return set_bad_run(error, i, "is longer than an extent");
    }
    /* A cluster before it has 16 blocks at the most. */
    if (GUINT16_FROM_LE(raw->first_block) >
        run->slot * VMA_BLOCKS_PER_CLUSTER) {
        return set_bad_run(error, i, "has more blocks before it than fit");
    }
    /* The first frame is the archive's header, the last one is the index. */
    if (run->frame < 1 || run->frame >= io_zstd_table_frames(table) - 1) {
        return set_bad_run(error, i, "is in no frame with extents");
    }
    if (run->extent_offset % sizeof(VmaExtentHeader) != 0) {
        return set_bad_run(error, i, "is at no place for an extent");
    }
    end = (uint64_t)run->extent_offset + sizeof(VmaExtentHeader) +
          (GUINT16_FROM_LE(raw->first_block) +
           run->count * vma_mask_blocks(run->mask)) * VMA_BLOCK_BYTES;
    if (end > io_zstd_table_frame(table, run->frame).content_bytes) {
        return set_bad_run(error, i, "goes past the end of its frame");
    }
    return true;
}

static bool check_run(const SeekRawRun *raw, uint32_t i,
                      const IoZstdTable *table, GError **error)
{
    VmaSeekRun run = decode_run(raw);

    if (run.device_id < 1 || run.device_id > DEVICE_ID_MAX) {
        return set_bad_run(error, i, "is of no device");
    }
    if (GUINT32_FROM_LE(raw->last) < run.number) {
        return set_bad_run(error, i, "ends before it begins");
    }
    if (raw->reserved) {
        return set_bad_run(error, i, "has a reserved field that is not zero");
    }
    if (run.mask) {
        return check_place(raw, &run, i, table, error);
    }
    if (raw->frame || raw->extent_offset || raw->first_block || raw->slot) {
        return set_bad_run(error, i, "of zeroes has a place");
    }
    return true;
}

/* Each by itself, their order, and what they are all together. */
static bool check_runs(const VmaSeekIndex *index, const IoZstdTable *table,
                       GError **error)
{
    uint64_t clusters = 0, blocks = 0;

    for (uint32_t i = 0; i < index->count; i++) {
        const SeekRawRun *raw = &index->runs[i];
        VmaSeekRun run = decode_run(raw);

        if (!check_run(raw, i, table, error)) {
            return false;
        }
        if (i > 0 && raw->device_id <= raw[-1].device_id &&
            (raw->device_id < raw[-1].device_id ||
             run.number <= GUINT32_FROM_LE(raw[-1].last))) {
            return set_bad_run(error, i, "is out of order");
        }
        clusters += run.count;
        blocks += run.count * vma_mask_blocks(run.mask);
    }
    if (clusters != index->totals.clusters || blocks != index->totals.blocks) {
        return set_bad(error, "its totals are wrong");
    }
    return true;
}

/* The hash of all the bytes before it, at their end. */
static bool has_right_checksum(const uint8_t *data, size_t bytes)
{
    uint8_t checksum[INDEX_CHECKSUM_BYTES];

    seek_checksum(checksum, data, bytes - INDEX_CHECKSUM_BYTES);
    return memcmp(checksum, data + bytes - INDEX_CHECKSUM_BYTES,
                  INDEX_CHECKSUM_BYTES) == 0;
}

/* Whether these are the first bytes of an index that can be read here. */
static bool is_index(const void *data, size_t bytes)
{
    SeekHeader header;

    if (bytes < sizeof(header)) {
        return false;
    }
    memcpy(&header, data, sizeof(header));
    return memcmp(header.magic, INDEX_MAGIC, sizeof(header.magic)) == 0 &&
           GUINT32_FROM_LE(header.version) == INDEX_VERSION;
}

VmaSeekIndex *vma_seek_index_decode(GBytes *bytes, const IoZstdTable *table,
                                    GError **error)
{
    g_autoptr(VmaSeekIndex) index = g_new0(VmaSeekIndex, 1);
    gsize size;
    const uint8_t *data = g_bytes_get_data(bytes, &size);
    SeekHeader header;

    index->bytes = bytes;
    if (size < INDEX_MIN_BYTES || !is_index(data, size)) {
        set_bad(error, "this is none");
        return NULL;
    }
    memcpy(&header, data, sizeof(header));
    if (!has_right_checksum(data, size)) {
        set_bad(error, "checksum mismatch");
        return NULL;
    }
    index->runs = (const SeekRawRun *)(data + sizeof(header));
    index->count = GUINT32_FROM_LE(header.runs);
    memcpy(index->uuid, header.uuid, sizeof(uuid_t));
    index->totals = (VmaSeekTotals) {
        .bytes = GUINT64_FROM_LE(header.total_bytes),
        .extents = GUINT64_FROM_LE(header.total_extents),
        .clusters = GUINT64_FROM_LE(header.total_clusters),
        .blocks = GUINT64_FROM_LE(header.total_blocks),
    };
    if (index->count > VMA_SEEK_INDEX_MAX_RUNS ||
        size != INDEX_MIN_BYTES + index->count * sizeof(SeekRawRun)) {
        set_bad(error, "its size does not fit its runs");
        return NULL;
    }
    if (!check_header(index, &header, table, error) ||
        !check_runs(index, table, error)) {
        return NULL;
    }
    return g_steal_pointer(&index);
}

void vma_seek_index_free(VmaSeekIndex *index)
{
    if (index) {
        g_bytes_unref(index->bytes);
        g_free(index);
    }
}

static bool read_at(int fd, void *buffer, size_t bytes, uint64_t offset,
                    GError **error)
{
    size_t got;

    if (!io_pread(fd, buffer, bytes, offset, &got, error)) {
        g_prefix_error(error, "cannot read the index of the archive: ");
        return false;
    }
    return got == bytes || set_bad(error, "the file is shorter than it was");
}

/*
 * What does not say that it is an index may be another program's, or be of a
 * later version.  But if it would have the right hash as an index of ours, it is
 * one, and damaged in what it says.
 */
static bool check_foreign(int fd, const IoZstdFrame *frame, GError **error)
{
    size_t bytes = frame->bytes - sizeof(SeekFrameHeader);
    g_autofree uint8_t *data = NULL;
    SeekHeader header;

    if (bytes < INDEX_MIN_BYTES || bytes > INDEX_MAX_BYTES ||
        (bytes - INDEX_MIN_BYTES) % sizeof(SeekRawRun) != 0) {
        return true;
    }
    data = g_malloc(bytes);
    if (!read_at(fd, data, bytes, frame->offset + sizeof(SeekFrameHeader),
                 error)) {
        return false;
    }
    memcpy(&header, data, sizeof(header));
    memcpy(header.magic, INDEX_MAGIC, sizeof(header.magic));
    header.version = GUINT32_TO_LE(INDEX_VERSION);
    memcpy(data, &header, sizeof(header));
    return !has_right_checksum(data, bytes) ||
           set_bad(error, "wrong magic number or version");
}

/* *frame has it, if it is there: the last one of the table. */
static bool find_index(int fd, const IoZstdTable *table, IoZstdFrame *frame,
                       bool *found, GError **error)
{
    uint32_t frames = io_zstd_table_frames(table);
    uint8_t start[sizeof(SeekFrameHeader) + sizeof(SeekHeader)];
    SeekFrameHeader header;

    *found = false;
    if (frames == 0) {
        return true;
    }
    *frame = io_zstd_table_frame(table, frames - 1);
    if (frame->content_bytes > 0 || frame->bytes < sizeof(start)) {
        return true;
    }
    if (!read_at(fd, start, sizeof(start), frame->offset, error)) {
        return false;
    }
    memcpy(&header, start, sizeof(header));
    if (GUINT32_FROM_LE(header.magic) != INDEX_FRAME_MAGIC ||
        !is_index(start + sizeof(header), sizeof(SeekHeader))) {
        return check_foreign(fd, frame, error);
    }
    if (GUINT32_FROM_LE(header.bytes) != frame->bytes - sizeof(header)) {
        return set_bad(error, "its frame's size is not that in the seek "
                       "table");
    }
    if (GUINT32_FROM_LE(header.bytes) > INDEX_MAX_BYTES) {
        return set_bad(error, "it is too large");
    }
    *found = true;
    return true;
}

bool vma_seek_index_read(int fd, const IoZstdTable *table,
                         VmaSeekIndex **index, GError **error)
{
    g_autofree uint8_t *data = NULL;
    IoZstdFrame frame;
    size_t bytes;
    bool found;

    *index = NULL;
    if (!find_index(fd, table, &frame, &found, error)) {
        return false;
    }
    if (!found) {
        return true;
    }
    bytes = frame.bytes - sizeof(SeekFrameHeader);
    data = g_malloc(bytes);
    if (!read_at(fd, data, bytes, frame.offset + sizeof(SeekFrameHeader),
                 error)) {
        return false;
    }
    *index = vma_seek_index_decode(g_bytes_new_take(g_steal_pointer(&data),
                                                    bytes), table, error);
    return *index != NULL;
}

static bool set_mismatch(GError **error, const BackupDevice *device,
                         const char *what)
{
    backup_error_set_damaged(error, "bad index of the archive: device '%s' %s",
                             device->name, what);
    return false;
}

/* Blocks past the device's end are not to be stored; some store all of them. */
static bool mask_fits(const BackupDevice *device, uint64_t number,
                      uint16_t mask)
{
    uint64_t bytes = backup_run_bytes(device->size_bytes, number, 1);
    unsigned blocks = (bytes + VMA_BLOCK_BYTES - 1) / VMA_BLOCK_BYTES;

    return mask == MASK_FULL || !(mask >> blocks);
}

/* Runs from *I on are those of the device; *I becomes that of the next. */
static bool device_matches(const VmaSeekIndex *index,
                           const BackupDevice *device, uint32_t *i,
                           GError **error)
{
    uint64_t clusters = backup_clusters(device->size_bytes);
    uint64_t next = 0;

    for (; *i < index->count && index->runs[*i].device_id == device->id;
         (*i)++) {
        VmaSeekRun run = decode_run(&index->runs[*i]);

        if (run.number != next) {
            return set_mismatch(error, device, "has missing clusters");
        }
        next += run.count;
        if (next > clusters) {
            return set_mismatch(error, device, "has clusters past its end");
        }
        if (!mask_fits(device, next - 1, run.mask)) {
            return set_mismatch(error, device, "has blocks past its end");
        }
    }
    return next == clusters ||
           set_mismatch(error, device, "has missing clusters");
}

bool vma_seek_index_matches(const VmaSeekIndex *index, const BackupInfo *info,
                            GError **error)
{
    const BackupDevice *devices[VMA_DEVICES] = { NULL };
    uint32_t i = 0;

    if (memcmp(index->uuid, info->uuid, sizeof(uuid_t)) != 0) {
        return set_bad(error, "it belongs to another archive (uuid)");
    }
    for (guint n = 0; n < info->devices->len; n++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, n);

        devices[device->id] = device;
    }
    for (unsigned id = 0; id < VMA_DEVICES; id++) {
        if (devices[id] && !device_matches(index, devices[id], &i, error)) {
            return false;
        }
    }
    return i == index->count ||
           set_bad_run(error, i, "is of a device that is not there");
}

const VmaSeekTotals *vma_seek_index_totals(const VmaSeekIndex *index)
{
    return &index->totals;
}

uint32_t vma_seek_index_runs(const VmaSeekIndex *index)
{
    return index->count;
}

VmaSeekRun vma_seek_index_run(const VmaSeekIndex *index, uint32_t i)
{
    g_assert(i < index->count);
    return decode_run(&index->runs[i]);
}

bool vma_seek_index_find(const VmaSeekIndex *index, uint8_t device_id,
                         uint32_t number, uint32_t *i)
{
    SeekRawRun key = { .first = GUINT32_TO_LE(number), .device_id = device_id };
    uint32_t low = 0, high = index->count;

    /* All before LOW begin at or before the cluster, all from HIGH on after. */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (seek_compare_runs(&index->runs[middle], &key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *i = low - 1;
    return low > 0 && index->runs[*i].device_id == device_id &&
           number <= GUINT32_FROM_LE(index->runs[*i].last);
}

/* Clusters past a device's end have no data, and are in no run. */
static bool has_cluster(const VmaSeekIndex *index, const VmaCluster *cluster,
                        uint32_t frame, uint64_t extent_offset)
{
    VmaSeekRun run;
    uint64_t block;
    uint32_t i;

    if (!vma_seek_index_find(index, cluster->device_id, cluster->number, &i)) {
        return cluster->mask == 0;
    }
    run = vma_seek_index_run(index, i);
    block = cluster->first_block - (cluster->number - run.number) *
            (uint64_t)vma_mask_blocks(run.mask);
    return run.mask == cluster->mask &&
           (!run.mask || (run.slot + (cluster->number - run.number) ==
                          cluster->slot &&
                          run.frame == frame &&
                          run.extent_offset == extent_offset &&
                          run.block_offset == extent_offset +
                                              sizeof(VmaExtentHeader) +
                                              block * VMA_BLOCK_BYTES));
}

bool vma_seek_index_verify_extent(const VmaSeekIndex *index,
                                  const VmaExtent *extent, uint32_t frame,
                                  uint64_t extent_offset, GError **error)
{
    for (unsigned i = 0; i < extent->cluster_count; i++) {
        const VmaCluster *cluster = &extent->clusters[i];

        if (!has_cluster(index, cluster, frame, extent_offset)) {
            backup_error_set_damaged(error, "bad index of the archive: it does "
                                     "not have cluster %u of device id %u "
                                     "where it is", cluster->number,
                                     cluster->device_id);
            return false;
        }
    }
    return true;
}
