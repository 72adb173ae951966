/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz entry point over files, one test for each folder: what was once
 * found, and what the fuzzers have learnt, again on every "make check".  Its
 * own corpus has the fuzzer's name, which is behind the last "replay-" of the
 * program's.
 */
#include <string.h>

#include "input.h"

static void replay(gconstpointer data)
{
    const char *folder = data;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    unsigned count = 0;

    g_assert_nonnull(dir);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *bytes = NULL;
        gsize length;

        g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
        g_test_message("%s", path);
        LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
        count++;
    }
    g_assert_cmpuint(count, >, 0);
}

int main(int argc, char **argv)
{
    g_autofree char *program = g_path_get_basename(argv[0]);
    const char *mark = g_strrstr(program, "replay-");
    g_autofree char *corpus = g_build_filename(
        "tests/fuzz/corpus", mark ? mark + strlen("replay-") : "", NULL);
    const char *const folders[] = { "tests/data/stream", corpus };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *name = g_strdup_printf("/replay/%s", folders[i]);

        g_test_add_data_func(name, folders[i], replay);
    }
    return g_test_run();
}
