/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives: header and extent codec, and what the writer writes read back.
 */
#include <string.h>

#include "output.h"
#include "vma/header.h"
#include "vma/md5.h"
#include "vma/reader.h"
#include "vma/writer.h"

static BackupInfo *new_info(void)
{
    BackupInfo *info = backup_info_new();

    uuid_parse("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", info->uuid);
    info->start_time_s = 1700000000;
    return info;
}

/* Adds a whole device of pattern, in runs as large as the room allows. */
static void add_pattern(VmaWriter *writer, const BackupDevice *device)
{
    uint64_t clusters = backup_clusters(device->size_bytes);
    g_autoptr(GError) error = NULL;

    for (uint64_t number = 0; number < clusters;) {
        unsigned room;
        uint8_t *buffer = vma_writer_room(writer, &room, &error);
        unsigned count = MIN(room, clusters - number);

        g_assert_no_error(error);
        fill_pattern(buffer, backup_run_bytes(device->size_bytes, number,
                                              count), number);
        vma_writer_add_data(writer, device, number, count);
        number += count;
    }
}

/* A device's bytes as an archive has them. */
static uint8_t *read_device(VmaReader *reader, const BackupDevice *device,
                            unsigned *extents)
{
    uint64_t clusters = backup_clusters(device->size_bytes);
    uint8_t *data = g_malloc0(clusters * VMA_CLUSTER_BYTES + 1);
    g_autofree bool *seen = g_new0(bool, clusters + 1);
    g_autoptr(GError) error = NULL;
    const VmaExtent *extent;
    VmaNext next;

    *extents = 0;
    while ((next = vma_reader_next(reader, &extent, &error)) ==
           VMA_NEXT_EXTENT) {
        g_assert_true(vma_reader_verify_place(reader, &error));
        g_assert_true(vma_reader_verify_data(reader, &error));
        ++*extents;
        for (unsigned i = 0; i < extent->cluster_count; i++) {
            const VmaCluster *c = &extent->clusters[i];
            const uint8_t *block = vma_reader_blocks(reader, c);

            if (c->device_id != device->id) {
                continue;
            }
            g_assert_cmpuint(c->number, <, clusters);
            g_assert_false(seen[c->number]);
            seen[c->number] = true;
            for (unsigned b = 0; b < VMA_BLOCKS_PER_CLUSTER; b++) {
                if (c->mask >> b & 1) {
                    memcpy(data + (uint64_t)c->number * VMA_CLUSTER_BYTES +
                           b * VMA_BLOCK_BYTES, block, VMA_BLOCK_BYTES);
                    block += VMA_BLOCK_BYTES;
                }
            }
        }
    }
    g_assert_no_error(error);
    g_assert_cmpint(next, ==, VMA_NEXT_END);
    for (uint64_t i = 0; i < clusters; i++) {
        g_assert_true(seen[i]);
    }
    return data;
}

static IoInput *input_of(int fd)
{
    g_autofree char *note = NULL;
    g_autoptr(GError) error = NULL;
    IoInput *input = io_input_new(fd, 1, &note, &error);

    g_assert_no_error(error);
    return input;
}

static VmaReader *archive_reader(OutputFile *a, int *fd, IoInput **input)
{
    g_autoptr(GError) error = NULL;
    VmaReader *reader;

    g_assert_true(io_output_finish(a->output, &error));
    *fd = open(a->path, O_RDONLY);
    *input = input_of(*fd);
    reader = vma_reader_new(*input, &error);
    g_assert_no_error(error);
    return reader;
}

/* One device of so many clusters, the last of so many bytes. */
static void round_trip(unsigned id, unsigned clusters, size_t last_bytes)
{
    g_autoptr(BackupInfo) info = new_info();
    BackupDevice *device = backup_info_add_device(
        info, id, "disk", clusters
        ? (uint64_t)(clusters - 1) * VMA_CLUSTER_BYTES + last_bytes : 0);
    size_t padded = (device->size_bytes + VMA_BLOCK_BYTES - 1) /
                    VMA_BLOCK_BYTES * VMA_BLOCK_BYTES;
    g_autofree uint8_t *back = NULL;
    g_autofree uint8_t *expected = g_malloc0(padded + VMA_CLUSTER_BYTES);
    g_autoptr(GError) error = NULL;
    g_autoptr(VmaWriter) writer = NULL;
    g_autoptr(IoInput) input = NULL;
    g_autoptr(VmaReader) reader = NULL;
    OutputFile a = output_file_new();
    unsigned extents;
    int fd;

    writer = vma_writer_new(info, a.output, &error);
    g_assert_no_error(error);
    add_pattern(writer, device);
    g_assert_true(vma_writer_finish(writer, &error));
    g_assert_cmpuint(vma_writer_zero_bytes(writer), ==, 0);
    reader = archive_reader(&a, &fd, &input);
    back = read_device(reader, device, &extents);
    /* And the end mark. */
    g_assert_cmpuint(extents, ==, (clusters + 58) / 59 + 1);
    /* The pattern starts anew with each extent's run. */
    for (unsigned n = 0; n < clusters; n += VMA_CLUSTERS_PER_EXTENT) {
        uint64_t count = MIN(clusters - n, VMA_CLUSTERS_PER_EXTENT);

        fill_pattern(expected + (size_t)n * VMA_CLUSTER_BYTES,
                     backup_run_bytes(device->size_bytes, n, count), n);
    }
    /* Nothing beyond the device's end is stored, but for padding. */
    g_assert_cmpmem(back, padded, expected, padded);
    g_assert_cmpuint(vma_reader_offset(reader), ==,
                     12288 + 512 + 512 * extents + padded);
    close(fd);
    output_file_clear(&a);
}

static void test_boundaries(void)
{
    static const unsigned clusters[] = { 0, 1, 58, 59, 60, 117, 118, 119 };
    static const size_t last[] = { 512, 4096, 4608, 65024, 65536 };

    for (size_t i = 0; i < G_N_ELEMENTS(clusters); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(last); j++) {
            round_trip(1, clusters[i], last[j]);
        }
        round_trip(254, clusters[i], 65536);
    }
}

/* Each of the 65536 patterns of zero and other blocks in a cluster. */
static void test_every_mask(void)
{
    g_autoptr(BackupInfo) info = new_info();
    BackupDevice *device = backup_info_add_device(
        info, 7, "disk", UINT64_C(65536) * VMA_CLUSTER_BYTES);
    g_autoptr(GError) error = NULL;
    g_autoptr(VmaWriter) writer = NULL;
    g_autoptr(IoInput) input = NULL;
    g_autoptr(VmaReader) reader = NULL;
    const VmaExtent *extent;
    OutputFile a = output_file_new();
    unsigned number = 0;
    int fd;

    writer = vma_writer_new(info, a.output, &error);
    for (unsigned mask = 0; mask <= 0xffff; mask++) {
        unsigned room;
        uint8_t *p = vma_writer_room(writer, &room, &error);

        memset(p, 0, VMA_CLUSTER_BYTES);
        for (unsigned b = 0; b < VMA_BLOCKS_PER_CLUSTER; b++) {
            if (mask >> b & 1) {
                /* The last byte alone makes a block count. */
                p[(b + 1) * VMA_BLOCK_BYTES - 1] = b + 1;
            }
        }
        vma_writer_add_data(writer, device, mask, 1);
    }
    g_assert_true(vma_writer_finish(writer, &error));
    g_assert_cmpuint(vma_writer_zero_bytes(writer), ==,
                     device->size_bytes / 2);
    reader = archive_reader(&a, &fd, &input);
    while (vma_reader_next(reader, &extent, &error) == VMA_NEXT_EXTENT) {
        g_assert_true(vma_reader_verify_place(reader, &error));
        g_assert_true(vma_reader_verify_data(reader, &error));
        for (unsigned i = 0; i < extent->cluster_count; i++, number++) {
            const uint8_t *p = vma_reader_blocks(reader, &extent->clusters[i]);

            g_assert_cmpuint(extent->clusters[i].number, ==, number);
            g_assert_cmpuint(extent->clusters[i].mask, ==, number);
            for (unsigned b = 0; b < VMA_BLOCKS_PER_CLUSTER; b++) {
                if (number >> b & 1) {
                    g_assert_cmpuint(p[VMA_BLOCK_BYTES - 1], ==, b + 1);
                    p += VMA_BLOCK_BYTES;
                }
            }
        }
    }
    g_assert_no_error(error);
    g_assert_cmpuint(number, ==, 65536);
    close(fd);
    output_file_clear(&a);
}

static void test_most_devices_and_configs(void)
{
    g_autoptr(BackupInfo) info = new_info();
    g_autoptr(BackupInfo) back = NULL;
    g_autoptr(GByteArray) bytes = NULL;
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *blob = g_strnfill(VMA_BLOB_MAX_BYTES, 'x');

    for (unsigned i = 1; i <= 254; i++) {
        g_autofree char *name = g_strdup_printf("disk-%u", i);

        backup_info_add_device(info, i, name, i);
    }
    for (unsigned i = 0; i < VMA_CONFIGS; i++) {
        g_autofree char *name = g_strdup_printf("config-%u", i);

        backup_info_add_config(info, name, blob,
                               i % 2 ? VMA_BLOB_MAX_BYTES - i : 0);
    }
    bytes = vma_header_encode(info, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(bytes->len % VMA_HEADER_ALIGN, ==, 0);
    back = vma_header_decode(bytes->data, bytes->len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(back->devices->len, ==, 254);
    g_assert_cmpuint(back->configs->len, ==, 256);
    /* All that it holds came through: it encodes to the same bytes. */
    again = vma_header_encode(back, &error);
    g_assert_cmpmem(bytes->data, bytes->len, again->data, again->len);
}

static void test_what_does_not_fit_is_refused(void)
{
    g_autoptr(BackupInfo) none = new_info();
    g_autoptr(BackupInfo) twice = new_info();
    g_autoptr(BackupInfo) many = new_info();
    g_autoptr(GError) error = NULL;

    g_assert_null(vma_header_encode(none, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_clear_error(&error);
    backup_info_add_device(twice, 1, "a", 512);
    backup_info_add_device(twice, 1, "b", 512);
    g_assert_null(vma_header_encode(twice, &error));
    g_clear_error(&error);
    backup_info_add_device(many, 1, "a", 512);
    for (int i = 0; i < 257; i++) {
        backup_info_add_config(many, "c", "", 0);
    }
    g_assert_null(vma_header_encode(many, &error));
}

/* A byte of the header is changed and the MD5 made right again. */
static void assert_header_damage(size_t offset, uint8_t value,
                                 const char *words)
{
    g_autoptr(BackupInfo) info = new_info();
    g_autoptr(BackupInfo) back = NULL;
    g_autoptr(GByteArray) bytes = NULL;
    g_autoptr(GError) error = NULL;
    size_t size;

    backup_info_add_device(info, 1, "disk", 512);
    backup_info_add_config(info, "conf", "data", 4);
    bytes = vma_header_encode(info, &error);
    bytes->data[offset] = value;
    vma_md5_set(bytes->data, bytes->len,
                bytes->data + offsetof(VmaHeader, md5));
    if (vma_header_size((VmaHeader *)bytes->data, &size, &error)) {
        back = vma_header_decode(bytes->data, bytes->len, &error);
    }
    g_assert_null(back);
    assert_kind(error, BACKUP_ERROR_DAMAGED);
    if (!strstr(error->message, words)) {
        g_error("offset %zu: expected \"%s\", got: %s", offset, words,
                error->message);
    }
}

static void test_header_fields(void)
{
    assert_header_damage(0, 'v', "not a VMA archive");
    assert_header_damage(3, 'X', "not a VMA archive");
    assert_header_damage(7, 2, "version 2");
    assert_header_damage(48, 1, "place of the blob buffer");
    assert_header_damage(50, 0, "place of the blob buffer");
    assert_header_damage(52, 0xff, "place of the blob buffer");
    assert_header_damage(55, 3, "outside of the blob buffer");
    assert_header_damage(56, 0xff, "bad header size");
    assert_header_damage(58, 0x30, "bad header size");
    assert_header_damage(2044, 0x80, "outside of the blob buffer");
    assert_header_damage(3068, 0x80, "outside of the blob buffer");
    assert_header_damage(4096 + 32, 0x80, "outside of the blob buffer");
    assert_header_damage(4096 + 32 + 8, 0x80, "bad size");
    /* The first blob, at 12289: its length, and its text. */
    assert_header_damage(12289, 0xff, "outside of the blob buffer");
    assert_header_damage(12289, 0, "no name");
    assert_header_damage(12291, 0, "no name");
}

/* Reads to the end or the first error. */
static VmaNext read_all(int fd, GError **error)
{
    g_autoptr(IoInput) input = input_of(fd);
    g_autoptr(VmaReader) reader = vma_reader_new(input, error);
    const VmaExtent *extent;
    VmaNext next = reader ? VMA_NEXT_EXTENT : VMA_NEXT_ERROR;

    while (next == VMA_NEXT_EXTENT) {
        next = vma_reader_next(reader, &extent, error);
        if (next == VMA_NEXT_EXTENT &&
            (!vma_reader_verify_place(reader, error) ||
             !vma_reader_verify_data(reader, error))) {
            return VMA_NEXT_ERROR;
        }
    }
    return next;
}

/* 61 clusters, of which three have data: two extents and the end mark. */
static GBytes *small_archive(void)
{
    g_autoptr(BackupInfo) info = new_info();
    BackupDevice *device = backup_info_add_device(
        info, 1, "disk", UINT64_C(61) * VMA_CLUSTER_BYTES);
    g_autoptr(VmaWriter) writer = NULL;
    g_autoptr(IoInput) input = NULL;
    g_autoptr(VmaReader) reader = NULL;
    OutputFile a = output_file_new();
    GBytes *bytes;
    int fd;

    writer = vma_writer_new(info, a.output, NULL);
    for (unsigned i = 0; i < 61; i++) {
        unsigned room;
        uint8_t *p = vma_writer_room(writer, &room, NULL);

        memset(p, 0, VMA_CLUSTER_BYTES);
        p[i % 16 * VMA_BLOCK_BYTES] = i % 30 == 0;
        vma_writer_add_data(writer, device, i, 1);
    }
    g_assert_true(vma_writer_finish(writer, NULL));
    reader = archive_reader(&a, &fd, &input);
    bytes = bytes_of_fd(fd);
    close(fd);
    output_file_clear(&a);
    return bytes;
}

static void test_every_truncation(void)
{
    g_autoptr(GBytes) archive = small_archive();
    gsize bytes;
    const uint8_t *data = g_bytes_get_data(archive, &bytes);
    int fd = memfd_create("cut", MFD_CLOEXEC);

    g_assert_cmpuint(bytes, ==, 12800 + 3 * 512 + 3 * 4096);
    for (gsize cut = 0; cut <= bytes; cut++) {
        g_autoptr(GError) error = NULL;
        VmaNext next;

        lseek(fd, 0, SEEK_SET);
        next = read_all(fd, &error);
        if (cut == bytes) {
            g_assert_no_error(error);
            g_assert_cmpint(next, ==, VMA_NEXT_END);
        } else {
            g_assert_cmpint(next, ==, VMA_NEXT_ERROR);
            assert_kind(error, BACKUP_ERROR_INCOMPLETE);
        }
        if (cut < bytes) {
            g_assert_true(io_pwrite(fd, data + cut, 1, cut, NULL));
        }
    }
    close(fd);
}

/* No byte of an archive goes unchecked: headers, data, end mark. */
static void test_a_bit_of_every_byte(void)
{
    g_autoptr(GBytes) archive = small_archive();
    gsize bytes;
    g_autofree uint8_t *data = g_memdup2(g_bytes_get_data(archive, NULL),
                                         g_bytes_get_size(archive));

    bytes = g_bytes_get_size(archive);
    for (gsize byte = 0; byte < bytes; byte++) {
        g_autoptr(GError) error = NULL;
        int fd;

        data[byte] ^= 1 << byte % 8;
        fd = fd_of_bytes(data, bytes);
        data[byte] ^= 1 << byte % 8;
        g_assert_cmpint(read_all(fd, &error), ==, VMA_NEXT_ERROR);
        g_assert_cmpint(error->code, >=, BACKUP_ERROR_DAMAGED);
        close(fd);
    }
}

static void test_bytes_after_the_end(void)
{
    g_autoptr(GBytes) archive = small_archive();
    gsize bytes = g_bytes_get_size(archive);
    g_autofree uint8_t *data = g_malloc0(bytes + 512);

    memcpy(data, g_bytes_get_data(archive, NULL), bytes);
    for (gsize more = 1; more <= 512; more += 73) {
        g_autoptr(GError) error = NULL;
        int fd = fd_of_bytes(data, bytes + more);

        g_assert_cmpint(read_all(fd, &error), ==, VMA_NEXT_ERROR);
        assert_kind(error, BACKUP_ERROR_DAMAGED);
        close(fd);
    }
}

/* Extents are the small archive's: [0] of 2 blocks, [1] of one, [2] the end. */
static const gsize extent_offsets[] = { 12800, 12800 + 512 + 2 * 4096,
                                        12800 + 2 * 512 + 3 * 4096,
                                        12800 + 3 * 512 + 3 * 4096 };

/* An archive of the small one's header and of some of its extents. */
static void assert_extents(const unsigned *list, unsigned count, int kind,
                           const char *words)
{
    g_autoptr(GBytes) archive = small_archive();
    const uint8_t *data = g_bytes_get_data(archive, NULL);
    int fd = memfd_create("extents", MFD_CLOEXEC);
    g_autoptr(GError) error = NULL;

    g_assert_true(io_write(fd, data, 12800, NULL));
    for (unsigned i = 0; i < count; i++) {
        gsize from = extent_offsets[list[i]];

        g_assert_true(io_write(fd, data + from,
                               extent_offsets[list[i] + 1] - from, NULL));
    }
    lseek(fd, 0, SEEK_SET);
    g_assert_cmpint(read_all(fd, &error), ==, VMA_NEXT_ERROR);
    assert_kind(error, kind);
    if (!strstr(error->message, words)) {
        g_error("expected \"%s\", got: %s", words, error->message);
    }
    close(fd);
}

static void test_lost_and_moved_extents(void)
{
    assert_extents((unsigned[]) { 0, 2 }, 2, BACKUP_ERROR_DAMAGED,
                   "extent number 2, where 1 should be");
    assert_extents((unsigned[]) { 1, 0, 2 }, 3, BACKUP_ERROR_DAMAGED,
                   "extent number 1, where 0 should be");
    assert_extents((unsigned[]) { 0, 0, 1, 2 }, 4, BACKUP_ERROR_DAMAGED,
                   "extent number 0, where 1 should be");
    assert_extents((unsigned[]) { 0, 1 }, 2, BACKUP_ERROR_INCOMPLETE,
                   "end mark");
    assert_extents((unsigned[]) { 0 }, 0, BACKUP_ERROR_INCOMPLETE, "end mark");
    assert_extents((unsigned[]) { 0, 1, 2, 1 }, 4, BACKUP_ERROR_DAMAGED,
                   "after the end mark");
}

/* As Proxmox's tools write it: bytes that mean nothing are not looked at. */
static void test_archive_without_digests(void)
{
    g_autoptr(GBytes) archive = small_archive();
    gsize bytes = extent_offsets[2];
    g_autofree uint8_t *data = g_memdup2(g_bytes_get_data(archive, NULL),
                                         bytes);
    g_autoptr(GError) error = NULL;
    int fd;

    memset(data + 60, 0, 16);
    vma_md5_set(data, 12800, data + offsetof(VmaHeader, md5));
    data[12800 + 512] ^= 1;
    fd = fd_of_bytes(data, bytes);
    g_assert_cmpint(read_all(fd, &error), ==, VMA_NEXT_END);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vma/boundaries", test_boundaries);
    g_test_add_func("/vma/every-mask", test_every_mask);
    g_test_add_func("/vma/most-devices-and-configs",
                    test_most_devices_and_configs);
    g_test_add_func("/vma/what-does-not-fit-is-refused",
                    test_what_does_not_fit_is_refused);
    g_test_add_func("/vma/header-fields", test_header_fields);
    g_test_add_func("/vma/every-truncation", test_every_truncation);
    g_test_add_func("/vma/a-bit-of-every-byte", test_a_bit_of_every_byte);
    g_test_add_func("/vma/bytes-after-the-end", test_bytes_after_the_end);
    g_test_add_func("/vma/lost-and-moved-extents",
                    test_lost_and_moved_extents);
    g_test_add_func("/vma/archive-without-digests",
                    test_archive_without_digests);
    return g_test_run();
}
