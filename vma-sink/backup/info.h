/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a backup is about, apart from its data: when, of which machine's disks,
 * and the configuration files carried with them.  The stream's preamble and the
 * archive's header are two encodings of this one description.
 */
#ifndef BACKUP_INFO_H
#define BACKUP_INFO_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <uuid/uuid.h>

#define BACKUP_CLUSTER_BYTES 65536u
#define BACKUP_BLOCK_BYTES 4096u
#define BACKUP_BLOCKS_PER_CLUSTER (BACKUP_CLUSTER_BYTES / BACKUP_BLOCK_BYTES)
#define BACKUP_CONFIG_MAX_BYTES 65535u
#define BACKUP_DEVICE_IDS 256u          /* size of a table indexed by id */

typedef struct BackupDevice {
    uint8_t id;                 /* 1 to 254 */
    uint64_t size_bytes;
    char *name;                 /* owned; valid UTF-8, without NUL */
} BackupDevice;

typedef struct BackupConfig {
    char *name;                 /* owned */
    GBytes *data;               /* owned */
} BackupConfig;

typedef struct BackupInfo {
    uuid_t uuid;
    int64_t start_time_s;       /* UTC, since the epoch */
    uint32_t start_time_ns;     /* 0 in an archive: VMA has whole seconds */
    GPtrArray *devices;         /* of BackupDevice, in the order found */
    GPtrArray *configs;         /* of BackupConfig, in the order found */
} BackupInfo;

BackupInfo *backup_info_new(void);
void backup_info_free(BackupInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BackupInfo, backup_info_free)

/* A copy of everything; the configs' data are shared, not copied. */
BackupInfo *backup_info_copy(const BackupInfo *info);

/* Both copy what they are given and check nothing. */
BackupDevice *backup_info_add_device(BackupInfo *info, uint8_t id,
                                     const char *name, uint64_t size_bytes);
BackupConfig *backup_info_add_config(BackupInfo *info, const char *name,
                                     const void *data, size_t bytes);

/* What the devices have together. */
uint64_t backup_info_bytes(const BackupInfo *info);

/* NULL if there is none. */
BackupDevice *backup_info_find_device(const BackupInfo *info, const char *name);
BackupConfig *backup_info_find_config(const BackupInfo *info, const char *name);

/*
 * Reads the file PATH into a new config called NAME, or like the file's last
 * path component where NAME is NULL.  False if it can't be read, is larger than
 * BACKUP_CONFIG_MAX_BYTES, has an unusable name or one that is there already.
 */
bool backup_info_load_config(BackupInfo *info, const char *path,
                             const char *name, GError **error);

/* Adds the configs of OTHER.  False, of kind USAGE, if a name is taken. */
bool backup_info_take_configs(BackupInfo *info, const BackupInfo *other,
                              GError **error);

/* Whether BYTES bytes are a name: 1 to 255 bytes of UTF-8, no control chars. */
bool backup_name_is_valid(const char *name, size_t bytes);
/* The same for a text, which may be empty and of any length. */
bool backup_text_is_valid(const char *text, size_t bytes);

static inline uint64_t backup_clusters(uint64_t size_bytes)
{
    return size_bytes / BACKUP_CLUSTER_BYTES +
           (size_bytes % BACKUP_CLUSTER_BYTES != 0);
}

/*
 * Bytes of the run [NUMBER, NUMBER + COUNT) that lie within a device of
 * SIZE_BYTES bytes.  The run must lie within the device's clusters.
 */
static inline uint64_t backup_run_bytes(uint64_t size_bytes, uint64_t number,
                                        uint64_t count)
{
    uint64_t start = number * BACKUP_CLUSTER_BYTES;

    return MIN(count * BACKUP_CLUSTER_BYTES, size_bytes - start);
}

#endif /* BACKUP_INFO_H */
