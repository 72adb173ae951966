/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An output in a folder of its own, for tests of what writes to one.
 */
#ifndef TESTS_OUTPUT_H
#define TESTS_OUTPUT_H

#include <fcntl.h>

#include "io/output.h"
#include "util.h"

typedef struct OutputFile {
    char *folder;
    char *path;
    IoOutput *output;
} OutputFile;

static inline OutputFile output_file_new(void)
{
    OutputFile f = { .folder = make_folder() };

    f.path = g_build_filename(f.folder, "output", NULL);
    f.output = io_output_new(f.path, false, NULL);
    g_assert_nonnull(f.output);
    return f;
}

/* Also removes it, and whatever is there beside it. */
static inline void output_file_clear(OutputFile *f)
{
    io_output_free(f->output);
    remove_folder(f->folder);
    g_free(f->folder);
    g_free(f->path);
}

/* What was written so far. */
static inline GBytes *output_file_bytes(const OutputFile *f)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d",
                                            io_output_fd(f->output));
    int fd = open(link, O_RDONLY);
    GBytes *bytes;

    g_assert_cmpint(fd, >=, 0);
    bytes = bytes_of_fd(fd);
    close(fd);
    return bytes;
}

#endif /* TESTS_OUTPUT_H */
