/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a stream can become: a table of functions for each format, and the table
 * of the formats.
 *
 * An output is opened before the program is confined, and before the first byte
 * of the stream is read, begun when the preamble is known, given every cluster
 * of every device exactly once, in any order, and finished.  Before it is
 * finished, and after any failure, nothing is to be seen of it.
 */
#ifndef SINK_FORMAT_H
#define SINK_FORMAT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/info.h"
#include "confine/confine.h"
#include "io/quota.h"
#include "vma/seekable.h"

typedef struct SinkFormat SinkFormat;

/* The start of every format's own struct. */
typedef struct SinkOutput {
    const SinkFormat *format;
    uint64_t zero_bytes;        /* left out of what was added so far */
    uint64_t stored_bytes;      /* written; final once it is finished */
    const char *leftover;       /* of what finish() replaced; mostly NULL */
} SinkOutput;

typedef struct SinkOptions {
    const char *path;           /* of the output; or, if UNNAMED, its folder */
    bool unnamed;               /* only for what set_path() is there for */
    bool overwrite;             /* it may exist: finish() replaces it */
    const VmaSeekableOptions *seekable;     /* NULL: not compressed */
    IoQuota *quota;             /* of an archive; outlives it; NULL: none */
} SinkOptions;

struct SinkFormat {
    const char *name;
    bool compresses;            /* it knows what options->seekable is for */

    /* What *options points to need not outlive the call. */
    SinkOutput *(*open)(const SinkOptions *options, GError **error);

    /* Permits what the functions below do with files that are not open. */
    void (*confine)(const SinkOutput *output, Confine *confine);

    /* The path of what was opened unnamed, in its folder; NULL: none can be. */
    bool (*set_path)(SinkOutput *output, const char *path, GError **error);

    /* INFO is borrowed and must outlive the output. */
    bool (*begin)(SinkOutput *output, const BackupInfo *info, GError **error);

    /*
     * Where the data of the next clusters go: room for *clusters of them, at
     * least one, belonging to the output and valid until its next function is
     * called.
     */
    uint8_t *(*room)(SinkOutput *output, unsigned *clusters, GError **error);

    /*
     * Adds COUNT clusters of DEVICE from NUMBER on, whose bytes, as many as
     * backup_run_bytes() says, have been put where room() said.
     */
    bool (*add_data)(SinkOutput *output, const BackupDevice *device,
                     uint64_t number, unsigned count, GError **error);

    /* Adds COUNT clusters of zeroes. */
    bool (*add_zero)(SinkOutput *output, const BackupDevice *device,
                     uint64_t number, uint64_t count, GError **error);

    /*
     * After this has returned true, and not before, everything is there under
     * its name, also after a loss of power.
     */
    bool (*finish)(SinkOutput *output, GError **error);

    /* Discards what was not finished.  May be called after any of these. */
    void (*free)(SinkOutput *output);
};

extern const SinkFormat sink_format_vma;
extern const SinkFormat sink_format_raw;

/* NULL, with *error of kind USAGE, if there is none of that name. */
const SinkFormat *sink_format_find(const char *name, GError **error);

static inline void sink_output_free(SinkOutput *output)
{
    if (output) {
        output->format->free(output);
    }
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SinkOutput, sink_output_free)

#endif /* SINK_FORMAT_H */
