/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options on compression: whether, how hard, and by how many threads.
 */
#ifndef CLI_COMPRESS_H
#define CLI_COMPRESS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The same options for all programs, as entries of their lists. */
#define CLI_COMPRESS_OPTIONS(arguments) \
    { "compress", 0, 0, G_OPTION_ARG_STRING, &(arguments).compress, \
      "none, zstd or zstd:LEVEL, 1 to 19 (3) or -7 to -1; by default zstd if " \
      "the archive's name ends in .zst, else none", "METHOD" }, \
    { "threads", 'T', 0, G_OPTION_ARG_STRING, &(arguments).threads, \
      "Compress with N threads, 0: as many as processors; by default as " \
      "well, but 8 at the most", "N" }, \
    { "frame-size", 0, 0, G_OPTION_ARG_STRING, &(arguments).frame_size, \
      "Compress so much at a time (1M): what random access has to read; more " \
      "needs more memory", "SIZE" }

/*
 * The argument of --threads: 1 to IO_ZSTD_THREADS_MAX, or 0 for as many as there
 * are processors.  TEXT may be NULL: it was not given, and there are as many as
 * processors, up to MOST.  False: *error is a usage error.
 */
bool cli_parse_threads(const char *text, unsigned most, unsigned *threads,
                       GError **error);

/* As they were given; NULL: not. */
typedef struct CliCompressArguments {
    char *compress;             /* --compress */
    char *threads;              /* --threads */
    char *frame_size;           /* --frame-size */
} CliCompressArguments;

typedef struct CliCompress {
    bool zstd;                  /* false: nothing is compressed */
    int level;
    unsigned threads;
    uint32_t frame_bytes;
} CliCompress;

/*
 * What they mean for an output of this name, which decides where --compress
 * does not.  frame_bytes must have been set to what is meant where no size is
 * given, and is at most MAX_FRAME_BYTES.  False: *error is a usage error.
 */
bool cli_compress_parse(const CliCompressArguments *arguments,
                        const char *output_path, uint32_t max_frame_bytes,
                        CliCompress *compress, GError **error);

#endif /* CLI_COMPRESS_H */
