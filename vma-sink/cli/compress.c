/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options on compression.
 */
#include "cli/compress.h"

#include <string.h>

#include "cli/cli.h"
#include "io/zstd-writer.h"

#define SUFFIX ".zst"
/*
 * Compression must keep up with the guest, so by default it uses what there
 * is, up to where the one thread that reads and writes is the limit.
 */
#define DEFAULT_THREADS_MAX 8u

/* "zstd", "zstd:LEVEL" or "none". */
static bool parse_method(const char *text, CliCompress *compress,
                         GError **error)
{
    gint64 level;
    char *end;

    if (strcmp(text, "none") == 0) {
        return true;
    }
    if (strcmp(text, "zstd") == 0) {
        compress->zstd = true;
        return true;
    }
    if (!g_str_has_prefix(text, "zstd:")) {
        cli_set_usage(error, "unknown compression '%s': none, zstd or "
                      "zstd:LEVEL", text);
        return false;
    }
    text += strlen("zstd:");
    level = g_ascii_strtoll(text, &end, 10);
    if (end == text || *end || level == 0 || level < IO_ZSTD_LEVEL_MIN ||
        level > IO_ZSTD_LEVEL_MAX) {
        cli_set_usage(error, "'%s' is not a level of zstd: 1 to %d, or %d to "
                      "-1, which are faster", text, IO_ZSTD_LEVEL_MAX,
                      IO_ZSTD_LEVEL_MIN);
        return false;
    }
    compress->zstd = true;
    compress->level = level;
    return true;
}

bool cli_parse_threads(const char *text, unsigned most, unsigned *threads,
                       GError **error)
{
    guint64 number;

    if (!text) {
        *threads = MIN(g_get_num_processors(), most);
        return true;
    }
    if (!g_ascii_string_to_unsigned(text, 10, 0, IO_ZSTD_THREADS_MAX, &number,
                                    NULL)) {
        cli_set_usage(error, "'%s' is not a number of threads: 1 to %u, or 0 "
                      "for as many as there are processors", text,
                      IO_ZSTD_THREADS_MAX);
        return false;
    }
    *threads = number ? number : MIN(g_get_num_processors(),
                                     IO_ZSTD_THREADS_MAX);
    return true;
}

static bool parse_frame_size(const char *text, uint32_t max, uint32_t *bytes,
                             GError **error)
{
    uint64_t size;

    if (!text) {
        return true;
    }
    if (!cli_parse_size(text, &size, error)) {
        return false;
    }
    if (size < 1 || size > max) {
        g_autofree char *most = cli_format_size(max);

        cli_set_usage(error, "a frame of %s is not possible: at least 1 byte, "
                      "at most %s", text, most);
        return false;
    }
    *bytes = size;
    return true;
}

bool cli_compress_parse(const CliCompressArguments *arguments,
                        const char *output_path, uint32_t max_frame_bytes,
                        CliCompress *compress, GError **error)
{
    const char *by_name = g_str_has_suffix(output_path, SUFFIX) ? "zstd"
                                                                : "none";

    compress->zstd = false;
    compress->level = IO_ZSTD_LEVEL_DEFAULT;
    return parse_method(arguments->compress ? arguments->compress : by_name,
                        compress, error) &&
           cli_parse_threads(arguments->threads, DEFAULT_THREADS_MAX,
                             &compress->threads, error) &&
           parse_frame_size(arguments->frame_size, max_frame_bytes,
                            &compress->frame_bytes, error);
}
