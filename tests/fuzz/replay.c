/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz entry point over files, one test for each folder given: what was
 * once found, and what the fuzzers have learnt, again on every "make check".
 */
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
    static const char *const folders[] = { "tests/data/stream",
                                           "tests/fuzz/corpus" };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *name = g_strdup_printf("/replay/%s", folders[i]);

        g_test_add_data_func(name, folders[i], replay);
    }
    return g_test_run();
}
