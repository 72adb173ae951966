/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream's writer, read back by the reader.
 */
#include <string.h>

#include "util.h"
#include "wire/preamble.h"
#include "wire/reader.h"
#include "wire/writer.h"

static BackupInfo *new_info(void)
{
    BackupInfo *info = backup_info_new();

    uuid_generate(info->uuid);
    info->start_time_s = 1234567890;
    info->start_time_ns = 987654321;
    return info;
}

static int new_file(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void assert_same_info(const BackupInfo *a, const BackupInfo *b)
{
    g_assert_cmpmem(a->uuid, 16, b->uuid, 16);
    g_assert_cmpint(a->start_time_s, ==, b->start_time_s);
    g_assert_cmpuint(a->start_time_ns, ==, b->start_time_ns);
    g_assert_cmpuint(a->devices->len, ==, b->devices->len);
    g_assert_cmpuint(a->configs->len, ==, b->configs->len);
    for (guint i = 0; i < a->devices->len; i++) {
        const BackupDevice *x = g_ptr_array_index(a->devices, i);
        const BackupDevice *y = g_ptr_array_index(b->devices, i);

        g_assert_cmpuint(x->id, ==, y->id);
        g_assert_cmpuint(x->size_bytes, ==, y->size_bytes);
        g_assert_cmpstr(x->name, ==, y->name);
    }
    for (guint i = 0; i < a->configs->len; i++) {
        const BackupConfig *x = g_ptr_array_index(a->configs, i);
        const BackupConfig *y = g_ptr_array_index(b->configs, i);

        g_assert_cmpstr(x->name, ==, y->name);
        g_assert_true(g_bytes_equal(x->data, y->data));
    }
}

/* Sends and reads back a device whose run is COUNT clusters, the last short. */
static void round_trip_run(unsigned count, size_t last_bytes, uint32_t features)
{
    g_autoptr(BackupInfo) info = new_info();
    BackupDevice *device = backup_info_add_device(
        info, 254, "disk",
        (uint64_t)(count - 1) * WIRE_CLUSTER_BYTES + last_bytes);
    g_autofree uint8_t *data = g_malloc(device->size_bytes);
    g_autofree uint8_t *back = g_malloc(device->size_bytes);
    g_autoptr(GError) error = NULL;
    g_autoptr(WireWriter) writer = NULL;
    g_autoptr(WireReader) reader = NULL;
    WireRun run;
    int fd = new_file();

    fill_pattern(data, device->size_bytes, count);
    writer = wire_writer_new(fd, info, features, &error);
    g_assert_no_error(error);
    g_assert_true(wire_writer_data(writer, device, 0, count, data, &error));
    g_assert_true(wire_writer_device_end(writer, device, &error));
    g_assert_true(wire_writer_finish(writer, &error));

    lseek(fd, 0, SEEK_SET);
    reader = wire_reader_new(fd, &error);
    g_assert_no_error(error);
    assert_same_info(info, wire_reader_info(reader));
    g_assert_cmpint(wire_reader_next(reader, &run, &error), ==,
                    WIRE_EVENT_DATA);
    g_assert_cmpuint(run.cluster_count, ==, count);
    g_assert_cmpuint(run.payload_bytes, ==, device->size_bytes);
    g_assert_true(wire_reader_payload(reader, back, run.payload_bytes,
                                      &error));
    g_assert_cmpmem(data, device->size_bytes, back, device->size_bytes);
    g_assert_cmpint(wire_reader_next(reader, &run, &error), ==,
                    WIRE_EVENT_END);
    close(fd);
}

static void test_runs(void)
{
    static const unsigned counts[] = { 1, 2, 63, 64 };
    static const size_t sizes[] = { 512, 65024, 65536 };

    for (size_t i = 0; i < G_N_ELEMENTS(counts); i++) {
        for (size_t j = 0; j < G_N_ELEMENTS(sizes); j++) {
            round_trip_run(counts[i], sizes[j], 0);
            round_trip_run(counts[i], sizes[j], WIRE_FEATURE_PAYLOAD_HASH);
        }
    }
}

static void test_limits_of_the_preamble(void)
{
    g_autoptr(BackupInfo) info = new_info();
    g_autoptr(GByteArray) bytes = NULL;
    g_autoptr(BackupInfo) back = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *blob = g_malloc0(WIRE_CONFIG_MAX_BYTES);
    g_autofree char *longest = g_strnfill(WIRE_NAME_MAX_BYTES, 'n');
    uint32_t features = 9;

    backup_info_add_device(info, 254, longest, WIRE_DEVICE_MAX_BYTES);
    for (unsigned id = 1; id < 254; id++) {
        g_autofree char *name = g_strdup_printf("disk-%u", id);

        backup_info_add_device(info, id, name, id * 512);
    }
    for (unsigned i = 0; i < WIRE_CONFIGS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("config-%u", i);

        backup_info_add_config(info, name, blob, WIRE_CONFIG_MAX_BYTES - i);
    }
    bytes = wire_preamble_encode(info, 0, &error);
    g_assert_no_error(error);
    back = wire_preamble_decode(bytes->data, bytes->len, &features, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(features, ==, 0);
    assert_same_info(info, back);
}

/* What the reader would refuse is not sent in the first place. */
static void test_refuses_what_the_reader_refuses(void)
{
    static const struct {
        const char *name;
        uint64_t size_bytes;
        unsigned id;
    } bad[] = {
        { "", 512, 1 }, { "a\tb", 512, 1 }, { "a", 513, 1 },
        { "a", WIRE_DEVICE_MAX_BYTES + 512, 1 }, { "a", 512, 0 },
        { "a", 512, 255 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(BackupInfo) info = new_info();
        g_autoptr(GError) error = NULL;

        backup_info_add_device(info, bad[i].id, bad[i].name,
                               bad[i].size_bytes);
        g_assert_null(wire_preamble_encode(info, 0, &error));
        assert_kind(error, BACKUP_ERROR_FAILED);
    }
}

static void test_abort_is_read_as_such(void)
{
    g_autoptr(BackupInfo) info = new_info();
    g_autoptr(GError) error = NULL;
    g_autoptr(WireWriter) writer = NULL;
    g_autoptr(WireReader) reader = NULL;
    WireRun run;
    int fd = new_file();

    backup_info_add_device(info, 1, "disk", 512);
    writer = wire_writer_new(fd, info, 0, &error);
    wire_writer_abort(writer, WIRE_ABORT_SOURCE, "sector 5 is bad");
    lseek(fd, 0, SEEK_SET);
    reader = wire_reader_new(fd, &error);
    g_assert_no_error(error);
    g_assert_cmpint(wire_reader_next(reader, &run, &error), ==,
                    WIRE_EVENT_ERROR);
    assert_kind(error, BACKUP_ERROR_INCOMPLETE);
    g_assert_nonnull(strstr(error->message, "sector 5 is bad"));
    close(fd);
}

/* A record may be torn after a failed write, so nothing follows it. */
static void test_nothing_after_a_failed_write(void)
{
    g_autoptr(BackupInfo) info = new_info();
    BackupDevice *device = backup_info_add_device(info, 1, "disk", 512);
    g_autoptr(GError) error = NULL;
    g_autoptr(WireWriter) writer = NULL;
    char buffer[4096];
    int fds[2];

    io_catch_signals();
    g_assert_cmpint(pipe(fds), ==, 0);
    writer = wire_writer_new(fds[1], info, 0, &error);
    g_assert_cmpint(read(fds[0], buffer, sizeof(buffer)), >, 0);
    close(fds[0]);
    g_assert_false(wire_writer_zero(writer, device, 0, 1, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    wire_writer_abort(writer, WIRE_ABORT_OTHER, "");
    close(fds[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire-writer/runs", test_runs);
    g_test_add_func("/wire-writer/limits-of-the-preamble",
                    test_limits_of_the_preamble);
    g_test_add_func("/wire-writer/refuses-what-the-reader-refuses",
                    test_refuses_what_the_reader_refuses);
    g_test_add_func("/wire-writer/abort-is-read-as-such",
                    test_abort_is_read_as_such);
    g_test_add_func("/wire-writer/nothing-after-a-failed-write",
                    test_nothing_after_a_failed_write);
    return g_test_run();
}
