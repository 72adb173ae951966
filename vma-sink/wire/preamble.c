/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The preamble between its bytes and a BackupInfo.  Decoding goes into a new
 * BackupInfo, which is handed out only once every byte has been accounted for.
 * The encoder decodes what it made, so both have one set of rules.
 */
#include "wire/preamble.h"

#include <string.h>

#include "backup/error.h"
#include "wire/check.h"

#define NS_PER_S 1000000000u
#define ALIGN 8

bool wire_preamble_size(const WirePreamble *start, size_t *bytes,
                        GError **error)
{
    uint32_t version = GUINT32_FROM_BE(start->version);
    uint32_t size = GUINT32_FROM_BE(start->preamble_bytes);

    if (memcmp(start->magic, WIRE_MAGIC, sizeof(start->magic)) != 0) {
        backup_error_set_damaged(error, "not a QEMU backup stream");
        return false;
    }
    if (version != WIRE_VERSION) {
        backup_error_set_damaged(error, "the stream has version %u, only "
                                 "version %u is known", version, WIRE_VERSION);
        return false;
    }
    if (size < WIRE_PREAMBLE_MIN_BYTES || size > WIRE_PREAMBLE_MAX_BYTES ||
        size % ALIGN != 0) {
        backup_error_set_damaged(error, "bad preamble size %u", size);
        return false;
    }
    *bytes = size;
    return true;
}

/* The entries not yet decoded. */
typedef struct Cursor {
    const uint8_t *data;
    size_t bytes;
} Cursor;

/* NULL if there are not BYTES bytes left. */
static const void *take(Cursor *cursor, size_t bytes, GError **error)
{
    const uint8_t *p = cursor->data;

    if (bytes > cursor->bytes) {
        backup_error_set_damaged(error, "the entries are longer than the "
                                 "preamble");
        return NULL;
    }
    cursor->data += bytes;
    cursor->bytes -= bytes;
    return p;
}

/* The padding behind an entry of BYTES bytes. */
static bool take_padding(Cursor *cursor, size_t bytes, GError **error)
{
    static const uint8_t zeroes[ALIGN];
    size_t padding = -bytes % ALIGN;
    const uint8_t *p = take(cursor, padding, error);

    if (p && memcmp(p, zeroes, padding) != 0) {
        backup_error_set_damaged(error, "padding in the preamble is not zero");
        return false;
    }
    return p != NULL;
}

static char *take_name(Cursor *cursor, const char *what, size_t bytes,
                       GError **error)
{
    const char *p = take(cursor, bytes, error);

    if (p && !backup_name_is_valid(p, bytes)) {
        backup_error_set_damaged(error, "bad %s name of %zu bytes", what,
                                 bytes);
        return NULL;
    }
    return p ? g_strndup(p, bytes) : NULL;
}

static bool decode_device(Cursor *cursor, BackupInfo *info, GError **error)
{
    const WireDevice *entry = take(cursor, sizeof(*entry), error);
    g_autofree char *name = NULL;
    uint64_t size;
    size_t bytes;

    if (!entry) {
        return false;
    }
    bytes = GUINT16_FROM_BE(entry->name_bytes);
    name = take_name(cursor, "device", bytes, error);
    if (!name || !take_padding(cursor, bytes, error)) {
        return false;
    }
    if (entry->reserved1 || entry->reserved2) {
        backup_error_set_damaged(error, "reserved field of device '%s' is not "
                                 "zero", name);
        return false;
    }
    size = GUINT64_FROM_BE(entry->size_bytes);
    if (size > WIRE_DEVICE_MAX_BYTES || size % WIRE_SECTOR_BYTES != 0) {
        backup_error_set_damaged(error, "device '%s' has a bad size of %"
                                 G_GUINT64_FORMAT " bytes", name, size);
        return false;
    }
    if (entry->device_id < WIRE_DEVICE_ID_MIN ||
        entry->device_id > WIRE_DEVICE_ID_MAX) {
        backup_error_set_damaged(error, "device '%s' has device id %u", name,
                                 entry->device_id);
        return false;
    }
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *other = g_ptr_array_index(info->devices, i);

        if (other->id == entry->device_id) {
            backup_error_set_damaged(error, "device id %u is used twice",
                                     other->id);
            return false;
        }
    }
    if (backup_info_find_device(info, name)) {
        backup_error_set_damaged(error, "device name '%s' is used twice", name);
        return false;
    }
    backup_info_add_device(info, entry->device_id, name, size);
    return true;
}

static bool decode_config(Cursor *cursor, BackupInfo *info, GError **error)
{
    const WireConfig *entry = take(cursor, sizeof(*entry), error);
    g_autofree char *name = NULL;
    size_t name_bytes, data_bytes;
    const void *data;

    if (!entry) {
        return false;
    }
    name_bytes = GUINT16_FROM_BE(entry->name_bytes);
    data_bytes = GUINT32_FROM_BE(entry->data_bytes);
    name = take_name(cursor, "config", name_bytes, error);
    if (!name) {
        return false;
    }
    if (entry->reserved) {
        backup_error_set_damaged(error, "reserved field of config '%s' is not "
                                 "zero", name);
        return false;
    }
    if (data_bytes > WIRE_CONFIG_MAX_BYTES) {
        backup_error_set_damaged(error, "config '%s' has %zu bytes, more than "
                                 "%u", name, data_bytes, WIRE_CONFIG_MAX_BYTES);
        return false;
    }
    data = take(cursor, data_bytes, error);
    if (!data || !take_padding(cursor, name_bytes + data_bytes, error)) {
        return false;
    }
    if (backup_info_find_config(info, name)) {
        backup_error_set_damaged(error, "config name '%s' is used twice", name);
        return false;
    }
    backup_info_add_config(info, name, data, data_bytes);
    return true;
}

/* The fields of fixed place, whose check has been verified. */
static bool decode_start(const WirePreamble *start, BackupInfo *info,
                         uint32_t *features, GError **error)
{
    static const uint8_t zeroes[sizeof(start->reserved)];
    unsigned devices = GUINT16_FROM_BE(start->device_count);
    unsigned configs = GUINT16_FROM_BE(start->config_count);
    uint32_t cluster = GUINT32_FROM_BE(start->cluster_bytes);

    *features = GUINT32_FROM_BE(start->features);
    memcpy(info->uuid, start->uuid, sizeof(info->uuid));
    info->start_time_s = GINT64_FROM_BE(start->start_time_s);
    info->start_time_ns = GUINT32_FROM_BE(start->start_time_ns);
    if (*features & ~WIRE_FEATURES_KNOWN) {
        backup_error_set_damaged(error, "the stream needs unknown features "
                                 "0x%08x", *features & ~WIRE_FEATURES_KNOWN);
    } else if (cluster != WIRE_CLUSTER_BYTES) {
        backup_error_set_damaged(error, "bad cluster size %u", cluster);
    } else if (devices < 1 || devices > WIRE_DEVICES_MAX) {
        backup_error_set_damaged(error, "bad device count %u", devices);
    } else if (configs > WIRE_CONFIGS_MAX) {
        backup_error_set_damaged(error, "bad config count %u", configs);
    } else if (info->start_time_ns >= NS_PER_S) {
        backup_error_set_damaged(error, "bad start time: %u nanoseconds",
                                 info->start_time_ns);
    } else if (uuid_is_null(info->uuid)) {
        backup_error_set_damaged(error, "the uuid is all zero");
    } else if (memcmp(start->reserved, zeroes, sizeof(zeroes)) != 0) {
        backup_error_set_damaged(error, "reserved field of the preamble is not "
                                 "zero");
    } else {
        return true;
    }
    return false;
}

BackupInfo *wire_preamble_decode(const uint8_t *data, size_t bytes,
                                 uint32_t *features, GError **error)
{
    const WirePreamble *start = (const void *)data;
    const WirePreambleTail *tail =
        (const void *)(data + bytes - sizeof(*tail));
    Cursor cursor = {
        .data = data + sizeof(*start),
        .bytes = bytes - sizeof(*start) - sizeof(*tail),
    };
    g_autoptr(BackupInfo) info = backup_info_new();

    if (GUINT32_FROM_BE(tail->check) !=
        wire_check_preamble(data, bytes - sizeof(tail->check))) {
        backup_error_set_damaged(error, "the check of the preamble is wrong");
        return NULL;
    }
    if (!decode_start(start, info, features, error)) {
        return NULL;
    }
    for (unsigned i = 0; i < GUINT16_FROM_BE(start->device_count); i++) {
        if (!decode_device(&cursor, info, error)) {
            return NULL;
        }
    }
    for (unsigned i = 0; i < GUINT16_FROM_BE(start->config_count); i++) {
        if (!decode_config(&cursor, info, error)) {
            return NULL;
        }
    }
    if (cursor.bytes > 0) {
        backup_error_set_damaged(error, "the entries are shorter than the "
                                 "preamble");
        return NULL;
    }
    if (tail->reserved) {
        backup_error_set_damaged(error, "reserved field at the end of the "
                                 "preamble is not zero");
        return NULL;
    }
    return g_steal_pointer(&info);
}

static void append_padding(GByteArray *out)
{
    static const uint8_t zeroes[ALIGN];

    g_byte_array_append(out, zeroes, -out->len % ALIGN);
}

static void encode_entries(GByteArray *out, const BackupInfo *info)
{
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        size_t name_bytes = strlen(device->name);
        WireDevice entry = {
            .device_id = device->id,
            .name_bytes = GUINT16_TO_BE(name_bytes),
            .size_bytes = GUINT64_TO_BE(device->size_bytes),
        };

        g_byte_array_append(out, (void *)&entry, sizeof(entry));
        g_byte_array_append(out, (void *)device->name, name_bytes);
        append_padding(out);
    }
    for (guint i = 0; i < info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(info->configs, i);
        size_t name_bytes = strlen(config->name);
        gsize data_bytes;
        const void *data = g_bytes_get_data(config->data, &data_bytes);
        WireConfig entry = {
            .name_bytes = GUINT16_TO_BE(name_bytes),
            .data_bytes = GUINT32_TO_BE(data_bytes),
        };

        g_byte_array_append(out, (void *)&entry, sizeof(entry));
        g_byte_array_append(out, (void *)config->name, name_bytes);
        if (data_bytes) {
            g_byte_array_append(out, data, data_bytes);
        }
        append_padding(out);
    }
}

GByteArray *wire_preamble_encode(const BackupInfo *info, uint32_t features,
                                 GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(BackupInfo) copy = NULL;
    WirePreamble start = {
        .version = GUINT32_TO_BE(WIRE_VERSION),
        .features = GUINT32_TO_BE(features),
        .cluster_bytes = GUINT32_TO_BE(WIRE_CLUSTER_BYTES),
        .device_count = GUINT16_TO_BE(info->devices->len),
        .config_count = GUINT16_TO_BE(info->configs->len),
        .start_time_ns = GUINT32_TO_BE(info->start_time_ns),
        .start_time_s = GINT64_TO_BE(info->start_time_s),
    };
    WirePreambleTail tail = { 0 };
    uint32_t check;
    size_t bytes;

    memcpy(start.magic, WIRE_MAGIC, sizeof(start.magic));
    memcpy(start.uuid, info->uuid, sizeof(start.uuid));
    g_byte_array_append(out, (void *)&start, sizeof(start));
    encode_entries(out, info);
    g_byte_array_append(out, (void *)&tail, sizeof(tail));

    bytes = out->len;
    ((WirePreamble *)out->data)->preamble_bytes = GUINT32_TO_BE(bytes);
    check = wire_check_preamble(out->data, bytes - sizeof(check));
    ((WirePreambleTail *)(out->data + bytes - sizeof(tail)))->check =
        GUINT32_TO_BE(check);

    if (wire_preamble_size((void *)out->data, &bytes, error)) {
        copy = wire_preamble_decode(out->data, bytes, &features, error);
    }
    if (!copy) {
        if (error && *error) {
            (*error)->code = BACKUP_ERROR_FAILED;
        }
        g_prefix_error(error, "cannot describe the backup: ");
        return NULL;
    }
    return g_steal_pointer(&out);
}
