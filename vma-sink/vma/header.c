/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The archive's header between its bytes and a BackupInfo.
 */
#include "vma/header.h"

#include <string.h>

#include "backup/error.h"
#include "vma/digest.h"
#include "vma/md5.h"

bool vma_header_size(const VmaHeader *start, size_t *bytes, GError **error)
{
    uint32_t version = GUINT32_FROM_BE(start->version);
    uint32_t size = GUINT32_FROM_BE(start->header_size);

    if (memcmp(start->magic, VMA_MAGIC, sizeof(start->magic)) != 0) {
        backup_error_set_damaged(error, "not a VMA archive");
        return false;
    }
    if (version != VMA_VERSION) {
        backup_error_set_damaged(error, "the archive has version %u, only "
                                 "version %u is known", version, VMA_VERSION);
        return false;
    }
    if (size <= sizeof(*start) || size > VMA_HEADER_MAX_BYTES) {
        backup_error_set_damaged(error, "bad header size %u", size);
        return false;
    }
    *bytes = size;
    return true;
}

/* The header's parts, while they are decoded. */
typedef struct Decoder {
    const VmaHeader *header;
    const uint8_t *blobs;
    uint64_t blob_bytes;
    BackupInfo *info;
    GPtrArray *findings;        /* NULL: the first one is an error */
} Decoder;

/* Whether decoding goes on after what was wrong, taking it over. */
static bool tolerate(Decoder *d, GError *finding, const char *consequence,
                     GError **error)
{
    if (!d->findings) {
        g_propagate_error(error, finding);
        return false;
    }
    g_ptr_array_add(d->findings,
                    g_strdup_printf("the header is damaged: %s: %s",
                                    finding->message, consequence));
    g_error_free(finding);
    return true;
}

/* The blob at an offset; false where it is not within the buffer. */
static bool find_blob(const Decoder *d, uint32_t offset, const uint8_t **blob,
                      size_t *bytes, GError **error)
{
    if ((uint64_t)offset + 2 <= d->blob_bytes) {
        *bytes = d->blobs[offset] | d->blobs[offset + 1] << 8;
        if (offset + 2 + *bytes <= d->blob_bytes) {
            *blob = d->blobs + offset + 2;
            return true;
        }
    }
    backup_error_set_damaged(error, "blob at offset %u is outside of the blob "
                             "buffer", offset);
    return false;
}

static char *decode_name(const Decoder *d, uint32_t offset, GError **error)
{
    const uint8_t *blob;
    size_t bytes;

    if (!find_blob(d, offset, &blob, &bytes, error)) {
        return NULL;
    }
    if (bytes < 2 || blob[bytes - 1] != 0 || blob[0] == 0) {
        backup_error_set_damaged(error, "blob at offset %u is no name", offset);
        return NULL;
    }
    return g_strdup((const char *)blob);
}

static bool decode_configs(Decoder *d, GError **error)
{
    for (unsigned i = 0; i < VMA_CONFIGS; i++) {
        uint32_t name_offset = GUINT32_FROM_BE(d->header->config_names[i]);
        uint32_t data_offset = GUINT32_FROM_BE(d->header->config_data[i]);
        g_autofree char *name = NULL;
        GError *finding = NULL;
        const uint8_t *data;
        size_t bytes;

        if (!name_offset || !data_offset) {
            continue;
        }
        name = decode_name(d, name_offset, &finding);
        if (name && find_blob(d, data_offset, &data, &bytes, &finding)) {
            backup_info_add_config(d->info, name, data, bytes);
            continue;
        }
        g_prefix_error(&finding, "config %u: ", i);
        if (!tolerate(d, finding, "it is left out", error)) {
            return false;
        }
    }
    return true;
}

static bool decode_device(Decoder *d, unsigned id, GError **error)
{
    const VmaDeviceInfo *entry = &d->header->devices[id];
    uint64_t size = GUINT64_FROM_BE(entry->size_bytes);
    g_autofree char *name = NULL;
    GError *finding = NULL;

    name = decode_name(d, GUINT32_FROM_BE(entry->name), &finding);
    if (!name) {
        g_autofree char *consequence = NULL;

        name = g_strdup_printf("device-%u", id);
        consequence = g_strdup_printf("it is called '%s'", name);
        g_prefix_error(&finding, "device id %u: ", id);
        if (!tolerate(d, finding, consequence, error)) {
            return false;
        }
    }
    if (size > VMA_DEVICE_MAX_BYTES) {
        finding = NULL;
        backup_error_set_damaged(&finding, "device id %u: bad size of %"
                                 G_GUINT64_FORMAT " bytes", id, size);
        return tolerate(d, finding, "it is left out", error);
    }
    backup_info_add_device(d->info, id, name, size);
    return true;
}

static bool decode_devices(Decoder *d, GError **error)
{
    for (unsigned id = 1; id < VMA_DEVICES - 1; id++) {
        const VmaDeviceInfo *entry = &d->header->devices[id];

        /* In a damaged header, a device may have lost its name alone. */
        if ((entry->name || (d->findings && entry->size_bytes)) &&
            !decode_device(d, id, error)) {
            return false;
        }
    }
    return true;
}

/* The archive's own fields, then what the header lists. */
static BackupInfo *decode(Decoder *d, GError **error)
{
    g_autoptr(BackupInfo) info = backup_info_new();

    memcpy(info->uuid, d->header->uuid, sizeof(info->uuid));
    info->start_time_s = GINT64_FROM_BE(d->header->ctime_s);
    d->info = info;
    return decode_configs(d, error) && decode_devices(d, error)
           ? g_steal_pointer(&info) : NULL;
}

BackupInfo *vma_header_decode(uint8_t *data, size_t bytes, GError **error)
{
    VmaHeader *header = (VmaHeader *)data;
    uint64_t blob_offset = GUINT32_FROM_BE(header->blob_buffer_offset);
    uint64_t blob_size = GUINT32_FROM_BE(header->blob_buffer_size);
    Decoder d = { .header = header };

    if (!vma_md5_verify(data, bytes, header->md5)) {
        backup_error_set_damaged(error, "checksum mismatch in the header");
        return NULL;
    }
    if (blob_offset < sizeof(*header) || blob_offset + blob_size > bytes) {
        backup_error_set_damaged(error, "bad place of the blob buffer: %"
                                 G_GUINT64_FORMAT " bytes at %"
                                 G_GUINT64_FORMAT, blob_size, blob_offset);
        return NULL;
    }
    d.blobs = data + blob_offset;
    d.blob_bytes = blob_size;
    return decode(&d, error);
}

BackupInfo *vma_header_decode_damaged(const uint8_t *data, size_t bytes,
                                      GPtrArray *findings, GError **error)
{
    Decoder d = {
        .header = (const VmaHeader *)data,
        .blobs = data + sizeof(VmaHeader),
        .blob_bytes = bytes - sizeof(VmaHeader),
        .findings = findings,
    };
    g_autoptr(BackupInfo) info = decode(&d, NULL);

    if (info->devices->len == 0) {
        backup_error_set_damaged(error, "it lists no disk");
        return NULL;
    }
    return g_steal_pointer(&info);
}

/*
 * Appends a blob, in two parts, and returns its offset in the blob buffer, as a
 * field has it.  (GLib's macro for that may evaluate its argument four times.)
 */
static uint32_t append_blob(GByteArray *out, const void *data, size_t bytes)
{
    uint32_t offset = out->len - sizeof(VmaHeader);
    uint8_t length[2] = { bytes & 0xff, bytes >> 8 };

    g_byte_array_append(out, length, sizeof(length));
    if (bytes) {
        g_byte_array_append(out, data, bytes);
    }
    return GUINT32_TO_BE(offset);
}

static bool check_encodable(const BackupInfo *info, GError **error)
{
    const BackupDevice *vmstate = backup_info_find_device(info,
                                                          VMA_VMSTATE_NAME);

    bool used[VMA_DEVICES] = { false };
    bool ok = info->devices->len > 0 && info->configs->len <= VMA_CONFIGS;

    if (vmstate) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "a disk can't be named '%s' in a VMA archive: that is the "
                    "name of the guest's memory", vmstate->name);
        return false;
    }
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        size_t name_bytes = strlen(device->name);

        ok = ok && device->id >= 1 && device->id < VMA_DEVICES - 1 &&
             !used[device->id] && device->size_bytes <= VMA_DEVICE_MAX_BYTES &&
             name_bytes >= 1 && name_bytes < VMA_BLOB_MAX_BYTES;
        used[device->id] = true;
    }
    for (guint i = 0; i < info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(info->configs, i);
        size_t name_bytes = strlen(config->name);

        ok = ok && g_bytes_get_size(config->data) <= VMA_BLOB_MAX_BYTES &&
             name_bytes >= 1 && name_bytes < VMA_BLOB_MAX_BYTES;
    }
    if (!ok) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the backup does not fit a VMA archive (%u devices, %u "
                    "configs)", info->devices->len, info->configs->len);
    }
    return ok;
}

GByteArray *vma_header_encode(const BackupInfo *info, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree VmaHeader *header = g_new0(VmaHeader, 1);
    size_t blob_end;

    if (!check_encodable(info, error)) {
        return NULL;
    }
    memcpy(header->magic, VMA_MAGIC, sizeof(header->magic));
    header->version = GUINT32_TO_BE(VMA_VERSION);
    memcpy(header->uuid, info->uuid, sizeof(header->uuid));
    header->ctime_s = GINT64_TO_BE(info->start_time_s);
    header->blob_buffer_offset = GUINT32_TO_BE(sizeof(*header));
    vma_digest_mark_header(header);

    /* The blobs stand behind a place for the header and a byte for "none". */
    g_byte_array_set_size(out, sizeof(*header) + 1);
    out->data[sizeof(*header)] = 0;
    for (guint i = 0; i < info->configs->len; i++) {
        const BackupConfig *config = g_ptr_array_index(info->configs, i);
        gsize bytes;
        const void *data = g_bytes_get_data(config->data, &bytes);

        header->config_names[i] =
            append_blob(out, config->name, strlen(config->name) + 1);
        header->config_data[i] = append_blob(out, data, bytes);
    }
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        VmaDeviceInfo *entry = &header->devices[device->id];

        entry->name =
            append_blob(out, device->name, strlen(device->name) + 1);
        entry->size_bytes = GUINT64_TO_BE(device->size_bytes);
    }
    blob_end = out->len;
    header->blob_buffer_size = GUINT32_TO_BE(blob_end - sizeof(*header));
    g_byte_array_set_size(out, (blob_end + VMA_HEADER_ALIGN - 1) /
                               VMA_HEADER_ALIGN * VMA_HEADER_ALIGN);
    memset(out->data + blob_end, 0, out->len - blob_end);
    header->header_size = GUINT32_TO_BE(out->len);
    memcpy(out->data, header, sizeof(*header));
    vma_md5_set(out->data, out->len, ((VmaHeader *)out->data)->md5);
    return g_steal_pointer(&out);
}
