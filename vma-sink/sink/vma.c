/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream becomes a VMA archive, one file.  What is done to the clusters is
 * vma/writer.c's, and how the file gets its name is io/output.c's.
 */
#include "io/output.h"
#include "sink/format.h"
#include "vma/writer.h"

typedef struct VmaOutput {
    SinkOutput common;
    bool overwrite;
    bool seekable;
    VmaSeekableOptions options; /* where it is seekable */
    IoOutput *file;
    VmaParts *parts;            /* NULL: not begun */
    VmaWriter *writer;          /* NULL: not begun */
} VmaOutput;

static SinkOutput *vma_open(const SinkOptions *options, GError **error)
{
    IoOutput *file = options->unnamed
        ? io_output_new_unnamed(options->path, error)
        : io_output_new(options->path, options->overwrite, error);
    VmaOutput *v;

    if (!file || !io_output_hold_folder(file, error)) {
        io_output_free(file);
        return NULL;
    }
    io_output_set_quota(file, options->quota);
    v = g_new0(VmaOutput, 1);
    v->common.format = &sink_format_vma;
    v->file = file;
    v->overwrite = options->overwrite;
    v->seekable = options->seekable != NULL;
    if (v->seekable) {
        v->options = *options->seekable;
    }
    return &v->common;
}

/* The file is open: it gets its name, or is removed. */
static void vma_confine(const SinkOutput *output, Confine *confine)
{
    const char *temp = io_output_temp(((const VmaOutput *)output)->file);

    if (temp) {
        confine_may_rename(confine, temp);
    }
}

static bool vma_set_path(SinkOutput *output, const char *path, GError **error)
{
    VmaOutput *v = (VmaOutput *)output;

    return io_output_set_path(v->file, path, v->overwrite, error);
}

static bool vma_begin(SinkOutput *output, const BackupInfo *info,
                      GError **error)
{
    VmaOutput *v = (VmaOutput *)output;

    v->parts = v->seekable ? vma_seekable_new(v->file, info->uuid, &v->options,
                                              error)
                           : vma_parts_new_plain(v->file, error);
    if (!v->parts) {
        return false;
    }
    v->writer = vma_writer_new_parts(info, v->parts, error);
    return v->writer != NULL;
}

static uint8_t *vma_room(SinkOutput *output, unsigned *clusters,
                         GError **error)
{
    return vma_writer_room(((VmaOutput *)output)->writer, clusters, error);
}

static bool vma_add_data(SinkOutput *output, const BackupDevice *device,
                         uint64_t number, unsigned count, GError **error)
{
    VmaOutput *v = (VmaOutput *)output;

    (void)error;
    vma_writer_add_data(v->writer, device, number, count);
    v->common.zero_bytes = vma_writer_zero_bytes(v->writer);
    return true;
}

static bool vma_add_zero(SinkOutput *output, const BackupDevice *device,
                         uint64_t number, uint64_t count, GError **error)
{
    VmaOutput *v = (VmaOutput *)output;
    bool ok = vma_writer_add_zero(v->writer, device, number, count, error);

    v->common.zero_bytes = vma_writer_zero_bytes(v->writer);
    return ok;
}

static bool vma_finish(SinkOutput *output, GError **error)
{
    VmaOutput *v = (VmaOutput *)output;

    if (!vma_writer_finish(v->writer, error)) {
        return false;
    }
    v->common.stored_bytes = io_output_bytes(v->file);
    return io_output_finish(v->file, error);
}

static void vma_free(SinkOutput *output)
{
    VmaOutput *v = (VmaOutput *)output;

    vma_writer_free(v->writer);
    vma_parts_free(v->parts);
    io_output_free(v->file);
    g_free(v);
}

const SinkFormat sink_format_vma = {
    .name = "vma",
    .compresses = true,
    .open = vma_open,
    .confine = vma_confine,
    .set_path = vma_set_path,
    .begin = vma_begin,
    .room = vma_room,
    .add_data = vma_add_data,
    .add_zero = vma_add_zero,
    .finish = vma_finish,
    .free = vma_free,
};
