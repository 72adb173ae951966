/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a stream for measurements to standard output: one device of the given
 * size in MiB, stretches of 1 MiB of random data and of zeroes in turn, data as
 * one record a cluster, as QEMU sends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "wire/writer.h"

#define STRETCH 16
#define POOL_CLUSTERS 256

/* Random clusters to take turns with: making them must not be the limit. */
static uint8_t *new_pool(void)
{
    size_t words = (size_t)POOL_CLUSTERS * WIRE_CLUSTER_BYTES / 4;
    uint32_t *pool = g_new(uint32_t, words);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);

    for (size_t i = 0; i < words; i++) {
        pool[i] = g_rand_int(rand);
    }
    return (uint8_t *)pool;
}

static bool write_device(WireWriter *writer, const BackupDevice *device,
                         const uint8_t *pool, GError **error)
{
    uint64_t clusters = backup_clusters(device->size_bytes);
    unsigned next = 0;

    for (uint64_t n = 0; n < clusters; n += STRETCH) {
        if (n / STRETCH % 2) {
            if (!wire_writer_zero(writer, device, n, STRETCH, error)) {
                return false;
            }
            continue;
        }
        for (unsigned i = 0; i < STRETCH; i++) {
            next = (next + 7) % POOL_CLUSTERS;
            if (!wire_writer_data(writer, device, n + i, 1, pool +
                                  (size_t)next * WIRE_CLUSTER_BYTES, error)) {
                return false;
            }
        }
    }
    return wire_writer_device_end(writer, device, error) &&
           wire_writer_finish(writer, error);
}

int main(int argc, char **argv)
{
    g_autoptr(BackupInfo) info = backup_info_new();
    g_autofree uint8_t *pool = new_pool();
    g_autoptr(WireWriter) writer = NULL;
    BackupDevice *device;
    GError *error = NULL;

    if (argc != 2 || isatty(STDOUT_FILENO)) {
        fprintf(stderr, "usage: %s MIB > STREAM\n", argv[0]);
        return 2;
    }
    g_set_prgname("bench-stream");
    uuid_generate(info->uuid);
    device = backup_info_add_device(info, 1, "disk",
                                    strtoull(argv[1], NULL, 10) << 20);
    writer = wire_writer_new(STDOUT_FILENO, info, 0, &error);
    if (!writer || !write_device(writer, device, pool, &error)) {
        return cli_report(error);
    }
    return 0;
}
