/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives that are damaged at random, with a fixed seed, read as verify and
 * salvage do: all damage is found, what it did not touch is given out, and what
 * is given out is right.
 */
#include <fcntl.h>
#include <string.h>

#include "restore/archive.h"
#include "util.h"
#include "vma/md5.h"
#include "vma/writer.h"

#define SEED 20240229
#define FLIPS 10000
#define ROUNDS 3000                     /* of edits */
#define DEVICES 2
#define CLUSTERS 190u                   /* of each device */
#define EXTENTS_MAX 10
#define EDITS_MAX 3

typedef struct Known {
    size_t start, bytes;
    VmaExtent extent;
    bool touched;                       /* by the edits of this round */
    bool overwritten;                   /* touched without being moved */
    bool seen;                          /* a cluster of it was given out */
} Known;

/* A whole archive, and what it holds. */
typedef struct Sample {
    uint8_t *data;
    size_t bytes, header_bytes;
    bool digests;
    Known extents[EXTENTS_MAX];
    unsigned extent_count;
    /* By device id and number: which extent has the cluster, and where. */
    Known *owner[DEVICES + 1][CLUSTERS];
    const VmaCluster *cluster[DEVICES + 1][CLUSTERS];
    unsigned findings;                  /* of the last salvage */
} Sample;

static void add_cluster(VmaWriter *writer, const BackupDevice *device,
                        unsigned number, GRand *rand)
{
    unsigned room;
    uint8_t *p = vma_writer_room(writer, &room, NULL);

    memset(p, 0, VMA_CLUSTER_BYTES);
    if (g_rand_int_range(rand, 0, 6) == 0) {
        unsigned block = g_rand_int_range(rand, 0, VMA_BLOCKS_PER_CLUSTER);

        fill_pattern(p + block * VMA_BLOCK_BYTES, VMA_BLOCK_BYTES,
                     number * 2 + device->id);
    }
    vma_writer_add_data(writer, device, number, 1);
}

static void write_archive(const char *path)
{
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);
    g_autoptr(VmaWriter) writer = NULL;
    IoOutput *output = io_output_new(path, false, NULL);
    BackupDevice *devices[DEVICES];

    uuid_parse("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", info->uuid);
    for (unsigned i = 0; i < DEVICES; i++) {
        devices[i] = backup_info_add_device(info, i + 1, i ? "b" : "a",
                                            CLUSTERS * VMA_CLUSTER_BYTES);
    }
    backup_info_add_config(info, "conf", "data", 4);
    writer = vma_writer_new(info, output, NULL);
    for (unsigned n = 0; n < CLUSTERS; n++) {
        for (unsigned i = 0; i < DEVICES; i++) {
            add_cluster(writer, devices[i], n, rand);
        }
    }
    g_assert_true(vma_writer_finish(writer, NULL));
    g_assert_true(io_output_finish(output, NULL));
    io_output_free(output);
}

/* Proxmox's tools write neither the mark nor an end mark. */
static void strip_digests(Sample *s)
{
    s->digests = false;
    memset(s->data + 60, 0, 16);
    vma_md5_set(s->data, s->header_bytes,
                s->data + offsetof(VmaHeader, md5));
    s->extent_count--;
    s->bytes -= s->extents[s->extent_count].bytes;
}

static void index_extents(Sample *s)
{
    uuid_t uuid;

    memcpy(uuid, s->data + offsetof(VmaHeader, uuid), sizeof(uuid));
    for (size_t at = s->header_bytes; at < s->bytes;) {
        Known *k = &s->extents[s->extent_count++];

        g_assert_true(vma_extent_decode((VmaExtentHeader *)(s->data + at), uuid,
                                        &k->extent, NULL));
        k->start = at;
        k->bytes = 512 + (size_t)k->extent.block_count * VMA_BLOCK_BYTES;
        for (unsigned i = 0; i < k->extent.cluster_count; i++) {
            const VmaCluster *c = &k->extent.clusters[i];

            s->owner[c->device_id][c->number] = k;
            s->cluster[c->device_id][c->number] = c;
        }
        at += k->bytes;
    }
}

static Sample *sample_new(bool digests)
{
    Sample *s = g_new0(Sample, 1);
    g_autofree char *folder = make_folder();
    g_autofree char *path = g_build_filename(folder, "a.vma", NULL);

    write_archive(path);
    g_assert_true(g_file_get_contents(path, (char **)&s->data, &s->bytes,
                                      NULL));
    remove_folder(folder);
    s->digests = true;
    s->header_bytes = 12800;
    index_extents(s);
    if (!digests) {
        strip_digests(s);
    }
    return s;
}

static void sample_free(Sample *s)
{
    g_free(s->data);
    g_free(s);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sample, sample_free)

/* What was told while an extent was looked for. */
typedef struct Told {
    unsigned findings;
    bool doubtful;
} Told;

static void take_finding(const char *finding, void *opaque)
{
    Told *told = opaque;

    told->findings++;
    if (strstr(finding, "may be wrong: disk")) {
        told->doubtful = true;
    }
}

/* Whether it has the blocks that it had before the damage. */
static bool is_right(const Sample *s, const VmaCluster *c,
                     const uint8_t *blocks)
{
    const Known *k = s->owner[c->device_id][c->number];
    const VmaCluster *was = s->cluster[c->device_id][c->number];

    return c->mask == was->mask &&
           memcmp(blocks, s->data + k->start + 512 +
                          (size_t)was->first_block * VMA_BLOCK_BYTES,
                  vma_mask_blocks(c->mask) * VMA_BLOCK_BYTES) == 0;
}

/*
 * Reads all of it; returns whether it passes as good.  *wrong is how many wrong
 * clusters are given out without a word, but for those that were overwritten
 * where there are no digests.
 */
static bool salvage(Sample *s, const uint8_t *data, size_t bytes,
                    unsigned *wrong)
{
    int fd = fd_of_bytes(data, bytes);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    Told told = { 0 };
    g_autoptr(GError) error = NULL;
    g_autoptr(RestoreArchive) a = restore_archive_new_damaged(
        path, 2, take_finding, &told, &error);
    const VmaExtent *extent;
    VmaNext next;

    close(fd);
    *wrong = 0;
    if (!a) {
        g_assert_cmpint(error->code, >=, BACKUP_ERROR_DAMAGED);
        return false;
    }
    while ((next = restore_archive_next(a, &extent, &error)) ==
           VMA_NEXT_EXTENT) {
        for (unsigned i = 0; i < extent->cluster_count; i++) {
            const VmaCluster *c = &extent->clusters[i];

            Known *k = s->owner[c->device_id][c->number];

            k->seen = true;
            *wrong += !told.doubtful && !(k->overwritten && !s->digests) &&
                      !is_right(s, c, restore_archive_blocks(a, c));
        }
        told.doubtful = false;
    }
    g_assert_no_error(error);
    g_assert_cmpint(next, ==, VMA_NEXT_END);
    s->findings = told.findings;
    return restore_archive_verdict(a, NULL);
}

/* Whether the byte is one that nothing verifies: data without a digest. */
static bool is_unverified(const Sample *s, size_t byte)
{
    for (unsigned i = 0; !s->digests && i < s->extent_count; i++) {
        const Known *k = &s->extents[i];

        if (byte >= k->start + 512 && byte < k->start + k->bytes) {
            return true;
        }
    }
    return false;
}

/*
 * With digests no bit at all is without a checksum.  Without, those of the data
 * are; such a bit is passed on as it is and changes one cluster.
 */
static void test_bit_flips(gconstpointer with_digests)
{
    g_autoptr(Sample) s = sample_new(with_digests != NULL);
    g_autofree uint8_t *data = g_memdup2(s->data, s->bytes);
    g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);
    unsigned unseen = 0;

    g_test_message("%d bits of %zu bytes, seed %d", FLIPS, s->bytes, SEED);
    for (unsigned i = 0; i < FLIPS; i++) {
        /* Every other one is in a header, which are few of the bytes. */
        const Known *k = &s->extents[g_rand_int_range(rand, 0,
                                                      s->extent_count)];
        size_t byte = i % 2 ? (size_t)g_rand_int_range(rand, 0, s->bytes)
                    : i % 4 ? k->start + g_rand_int_range(rand, 0, 512)
                    : (size_t)g_rand_int_range(rand, 0, s->header_bytes);
        unsigned bit = g_rand_int_range(rand, 0, 8);
        unsigned wrong;
        bool good;

        data[byte] ^= 1 << bit;
        good = salvage(s, data, s->bytes, &wrong);
        data[byte] ^= 1 << bit;
        if (good != is_unverified(s, byte) || wrong != good) {
            g_error("bit %u of byte %zu: good %d, %u clusters wrong", bit, byte,
                    good, wrong);
        }
        unseen += good;
    }
    g_test_message("%u of them unseen, all in data without a digest", unseen);
    g_assert_true((unseen > 0) == !s->digests);
    g_assert_true(salvage(s, s->data, s->bytes, &unseen));
}

enum {
    EDIT_FLIP,
    EDIT_OVERWRITE,
    EDIT_CUT,
    EDIT_INSERT,
    EDITS,
};

static size_t random_length(GRand *rand)
{
    static const size_t limits[] = { 2, 64, 513, 4097, 20000, 80000 };

    return g_rand_int_range(rand, 1, limits[g_rand_int_range(
                                     rand, 0, G_N_ELEMENTS(limits))]);
}

/* Marks the extents that have one of the bytes; or that FROM is within. */
static void touch(Sample *s, int kind, size_t from, size_t to)
{
    for (unsigned i = 0; i < s->extent_count; i++) {
        Known *k = &s->extents[i];
        bool within = k->start < from && from < k->start + k->bytes;
        bool overlaps = from < k->start + k->bytes && to > k->start;

        if (kind == EDIT_INSERT ? within : overlaps) {
            k->touched = true;
            k->overwritten |= kind == EDIT_FLIP || kind == EDIT_OVERWRITE;
        }
    }
}

/*
 * One edit of the bytes before *limit, which becomes where it begins.  Returns
 * whether it leaves all bytes at their place.
 */
static bool edit(Sample *s, GByteArray *data, size_t *limit, GRand *rand)
{
    int kind = g_rand_int_range(rand, 0, EDITS);
    size_t from = g_rand_int_range(rand, s->header_bytes, *limit);
    size_t length = kind == EDIT_FLIP ? 1 : random_length(rand);

    length = MIN(length, *limit - from);
    touch(s, kind, from, from + length);
    *limit = from;
    if (kind == EDIT_CUT) {
        g_byte_array_remove_range(data, from, length);
    } else if (kind == EDIT_INSERT) {
        size_t rest = data->len - from;

        g_byte_array_set_size(data, data->len + length);
        memmove(data->data + from + length, data->data + from, rest);
        fill_pattern(data->data + from, length, g_rand_int(rand));
    } else {
        for (size_t i = from; i < from + length; i++) {
            data->data[i] ^= kind == EDIT_FLIP ? 1 : 0x55;
        }
    }
    return kind <= EDIT_OVERWRITE;
}

/*
 * One round: up to three edits, from the end on.  Without digests it is one:
 * bytes that are cut out and others put in can't be told from overwritten ones.
 */
static void damage_and_salvage(Sample *s, GRand *rand, unsigned round)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    unsigned edits = s->digests ? g_rand_int_range(rand, 1, EDITS_MAX + 1) : 1;
    size_t limit = s->bytes;
    bool in_place = true;
    unsigned wrong;
    bool good;

    for (unsigned i = 0; i < s->extent_count; i++) {
        s->extents[i].touched = false;
        s->extents[i].overwritten = false;
        s->extents[i].seen = false;
    }
    g_byte_array_append(data, s->data, s->bytes);
    while (edits-- > 0 && limit > s->header_bytes) {
        in_place &= edit(s, data, &limit, rand);
    }
    good = salvage(s, data->data, data->len, &wrong);
    for (unsigned i = 0; i < s->extent_count; i++) {
        const Known *k = &s->extents[i];

        if (!k->touched && !k->seen && k->extent.cluster_count) {
            g_error("round %u: the extent at %zu is whole, and not given out",
                    round, k->start);
        }
    }
    if ((good && (s->digests || !in_place)) || wrong) {
        g_error("round %u: good %d, %u clusters wrong", round, good, wrong);
    }
}

static void test_edits(gconstpointer with_digests)
{
    g_autoptr(Sample) s = sample_new(with_digests != NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed(SEED);

    g_test_message("%d rounds on %zu bytes, seed %d", ROUNDS, s->bytes, SEED);
    for (unsigned round = 0; round < ROUNDS; round++) {
        damage_and_salvage(s, rand, round);
    }
}

/* The digest of an end mark is not one of data, so it can vouch for none. */
static void test_end_mark_with_data(void)
{
    g_autoptr(Sample) s = sample_new(true);
    g_autofree uint8_t *data = g_memdup2(s->data, s->bytes);
    uint8_t *header = data + s->extents[0].start;
    unsigned wrong;

    header[42 + 8 * 16] = 2;
    vma_md5_set(header, 512, header + offsetof(VmaExtentHeader, md5));
    header[512] ^= 1;
    g_assert_false(salvage(s, data, s->bytes, &wrong));
    g_assert_cmpuint(wrong, ==, 0);
    g_assert_false(s->extents[0].seen);
}

/*
 * A header every 513 bytes, each of an extent of the largest size, none of them
 * what its digest says, or followed by another: after the first thousand they
 * are no longer looked at each, which would hash 120 GB for these 16 MB.
 */
static void test_nested_headers(void)
{
    enum { COUNT = 32768 };
    g_autoptr(Sample) s = sample_new(true);
    g_autoptr(GByteArray) data = g_byte_array_new();
    VmaExtent extent = {
        .block_count = 59 * 16,
        .cluster_count = 59,
        .spare = { [16] = 1 },
    };
    VmaExtentHeader header;
    unsigned wrong;

    for (unsigned i = 0; i < 59; i++) {
        extent.clusters[i] = (VmaCluster) { .device_id = 1, .mask = 0xffff,
                                            .number = i };
    }
    vma_extent_encode(&header, s->data + 8, &extent);
    g_byte_array_append(data, s->data, s->header_bytes);
    for (unsigned i = 0; i < COUNT; i++) {
        g_byte_array_append(data, (uint8_t *)&header, sizeof(header));
        g_byte_array_append(data, (uint8_t *)"", 1);
    }
    g_assert_false(salvage(s, data->data, data->len, &wrong));
    g_assert_cmpuint(wrong, ==, 0);
    /* Three for each: its place, its data, what is passed over. */
    g_assert_cmpuint(s->findings, >=, 3000);
    g_assert_cmpuint(s->findings, <, 3100);
}

int main(int argc, char **argv)
{
    static const char yes[] = "with digests";

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/damage/bit-flips/digests", yes, test_bit_flips);
    g_test_add_data_func("/damage/bit-flips/no-digests", NULL, test_bit_flips);
    g_test_add_data_func("/damage/edits/digests", yes, test_edits);
    g_test_add_data_func("/damage/edits/no-digests", NULL, test_edits);
    g_test_add_func("/damage/end-mark-with-data", test_end_mark_with_data);
    g_test_add_func("/damage/nested-headers", test_nested_headers);
    return g_test_run();
}
