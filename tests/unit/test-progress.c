/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words of the progress: for a terminal, a log, and machines.
 */
#include <json-glib/json-glib.h>
#include <string.h>

#include "cli/progress-text.h"
#include "util.h"

#define GIB (UINT64_C(1) << 30)

static const ProgressState copying = {
    .phase = "copying",
    .busy = true,
    .phase_seconds = 12.9,
    .seconds = 13.5,
    .bytes = 4 * GIB,
    .total_bytes = 10 * GIB,
    .zero_bytes = GIB,
    .buffered_bytes = PROGRESS_UNKNOWN,
    .rate = 100 << 20,
};

static void assert_text(char *text, const char *expected)
{
    g_assert_cmpstr(text, ==, expected);
    g_free(text);
}

static void test_line(void)
{
    ProgressState state = copying;

    assert_text(progress_text_line(&state),
                "copying for 0:12: 40%, 4.0 GiB of 10.0 GiB, 25% zero, "
                "100.0 MiB/s, 1:02 left");
    state.zero_bytes = PROGRESS_UNKNOWN;
    state.total_bytes = PROGRESS_UNKNOWN;
    assert_text(progress_text_line(&state),
                "copying for 0:12: 4.0 GiB, 100.0 MiB/s");
    state.rate = 0;
    assert_text(progress_text_line(&state), "copying for 0:12: 4.0 GiB");
    state.buffered_bytes = 16 << 20;
    assert_text(progress_text_line(&state),
                "copying for 0:12: 4.0 GiB, 16.0 MiB buffered");
}

/* All bytes are there and it is not done: no rate, no time, and a reason. */
static void test_phase(void)
{
    ProgressState state = copying;

    state.phase = "syncing";
    state.busy = false;
    state.phase_seconds = 3725;
    state.bytes = state.total_bytes;
    assert_text(progress_text_line(&state),
                "syncing for 1:02:05: 100%, 10.0 GiB of 10.0 GiB, 10% zero");
    assert_text(progress_text_bar(&state, 60),
                "100%  10.0 GiB of 10.0 GiB, 10% zero, syncing for 1:02:05");
}

static void test_bar(void)
{
    ProgressState state = copying;
    const char *text =
        " 40%  4.0 GiB of 10.0 GiB, 25% zero, 100.0 MiB/s, 1:02 left";
    g_autofree char *short_bar = g_strconcat("[####......] ", text, NULL);
    g_autofree char *long_bar = g_strconcat(
        "[################........................] ", text, NULL);
    size_t columns = strlen(text);

    assert_text(progress_text_bar(&state, columns), text);
    assert_text(progress_text_bar(&state, columns + 12), text);
    assert_text(progress_text_bar(&state, columns + 13), short_bar);
    assert_text(progress_text_bar(&state, columns + 200), long_bar);
    assert_text(progress_text_bar(&state, 0), "");
    state.total_bytes = PROGRESS_UNKNOWN;
    assert_text(progress_text_bar(&state, 200),
                "4.0 GiB, 25% zero, 100.0 MiB/s");
}

/* What matters least goes first, and nothing is cut in the middle. */
static void test_narrow(void)
{
    static const char *const texts[] = {
        " 40%  4.0 GiB of 10.0 GiB, 25% zero, 16.0 MiB buffered, "
        "100.0 MiB/s, 1:02 left",
        " 40%  4.0 GiB of 10.0 GiB, 25% zero, 100.0 MiB/s, 1:02 left",
        " 40%  4.0 GiB of 10.0 GiB, 100.0 MiB/s, 1:02 left",
        " 40%  4.0 GiB, 100.0 MiB/s, 1:02 left",
        " 40%  4.0 GiB, 1:02 left",
        " 40%  1:02 left",
        " 40%  ",
    };
    ProgressState state = copying;

    state.buffered_bytes = 16 << 20;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        size_t columns = strlen(texts[i]);

        assert_text(progress_text_bar(&state, columns), texts[i]);
        if (i + 1 < G_N_ELEMENTS(texts)) {
            g_autofree char *less = progress_text_bar(&state, columns - 1);

            g_assert_nonnull(strstr(less, texts[i + 1]));
        }
    }
    state.phase = "syncing";
    state.busy = false;
    assert_text(progress_text_bar(&state, 31),
                " 40%  4.0 GiB, syncing for 0:12");
    assert_text(progress_text_bar(&state, 22), " 40%  syncing for 0:12");
    assert_text(progress_text_bar(&state, 16), "syncing for 0:12");
    assert_text(progress_text_bar(&state, 9), "syncing f");
    state = copying;
    state.total_bytes = PROGRESS_UNKNOWN;
    assert_text(progress_text_bar(&state, 20), "4.0 GiB, 100.0 MiB/s");
    assert_text(progress_text_bar(&state, 19), "4.0 GiB");
}

/* More than was announced, nothing at all, and what no clock shows. */
static void test_odd_numbers(void)
{
    ProgressState state = copying;

    state.bytes = 11 * GIB;
    state.zero_bytes = 12 * GIB;
    assert_text(progress_text_line(&state),
                "copying for 0:12: 100%, 11.0 GiB of 10.0 GiB, 100% zero, "
                "100.0 MiB/s, 0:00 left");
    state = (ProgressState) { .phase = "copying", .busy = true, .rate = 1,
                              .total_bytes = UINT64_MAX - 1,
                              .buffered_bytes = PROGRESS_UNKNOWN };
    assert_text(progress_text_line(&state),
                "copying for 0:00: 0%, 0 bytes of 16.0 EiB, 0% zero, "
                "1 byte/s, 99:59:59 left");
    state.total_bytes = 0;
    assert_text(progress_text_line(&state),
                "copying for 0:00: 100%, 0 bytes of 0 bytes, 0% zero, "
                "1 byte/s, 0:00 left");
}

static JsonObject *parse(char *text)
{
    g_autofree char *owned = text;
    g_autoptr(JsonNode) node = json_from_string(text, NULL);

    g_assert_nonnull(node);
    g_assert_null(strchr(text, '\n'));
    return json_node_dup_object(node);
}

static void assert_member(JsonObject *object, const char *name,
                          int64_t expected)
{
    g_assert_cmpint(json_object_get_int_member(object, name), ==, expected);
}

static void test_json(void)
{
    g_autoptr(JsonObject) object = NULL;

    g_set_prgname("vma-sink");
    object = parse(progress_text_json(&copying, -1, NULL));
    g_assert_cmpstr(json_object_get_string_member(object, "program"), ==,
                    "vma-sink");
    g_assert_cmpstr(json_object_get_string_member(object, "phase"), ==,
                    "copying");
    assert_member(object, "bytes", 4 * GIB);
    assert_member(object, "total-bytes", 10 * GIB);
    assert_member(object, "zero-bytes", GIB);
    assert_member(object, "rate", 100 << 20);
    g_assert_cmpfloat(json_object_get_double_member(object, "seconds"), ==,
                      13.5);
    g_assert_cmpuint(json_object_get_size(object), ==, 7);
}

/* Few digits, whatever the time. */
static void test_json_seconds(void)
{
    ProgressState state = copying;

    for (unsigned ms = 0; ms < 3000; ms++) {
        g_autofree char *text = NULL;
        const char *number;

        state.seconds = ms / 1e3;
        text = progress_text_json(&state, -1, NULL);
        number = strstr(text, "\"seconds\":") + strlen("\"seconds\":");
        g_assert_cmpuint(strspn(number, "0123456789."), <=,
                         strlen("1.0123456789"));
        g_assert_cmpfloat_with_epsilon(g_ascii_strtod(number, NULL),
                                       state.seconds, 1e-3);
    }
}

static void test_json_unknown(void)
{
    g_autoptr(JsonObject) object = NULL;
    ProgressState state = copying;

    state.zero_bytes = PROGRESS_UNKNOWN;
    state.total_bytes = PROGRESS_UNKNOWN;
    object = parse(progress_text_json(&state, -1, NULL));
    g_assert_false(json_object_has_member(object, "total-bytes"));
    g_assert_false(json_object_has_member(object, "zero-bytes"));
    g_assert_false(json_object_has_member(object, "buffered-bytes"));
}

static void test_json_buffered(void)
{
    g_autoptr(JsonObject) object = NULL;
    ProgressState state = copying;

    state.buffered_bytes = 16 << 20;
    object = parse(progress_text_json(&state, -1, NULL));
    assert_member(object, "buffered-bytes", 16 << 20);
}

static void test_json_end(void)
{
    g_autoptr(JsonObject) done = NULL;
    g_autoptr(JsonObject) failed = NULL;

    done = parse(progress_text_json(&copying, 0, NULL));
    g_assert_cmpstr(json_object_get_string_member(done, "phase"), ==, "done");
    assert_member(done, "exit-code", 0);
    g_assert_false(json_object_has_member(done, "error"));

    failed = parse(progress_text_json(&copying, 3, "no \"such\"\n\xff"));
    g_assert_cmpstr(json_object_get_string_member(failed, "phase"), ==,
                    "failed");
    assert_member(failed, "exit-code", 3);
    /* No UTF-8, so it is as it would be printed. */
    g_assert_cmpstr(json_object_get_string_member(failed, "error"), ==,
                    "no \"such\"\\x0a\\xff");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/progress/line-tells-what-is-known", test_line);
    g_test_add_func("/progress/phase-in-place-of-rate", test_phase);
    g_test_add_func("/progress/bar-fits-the-columns", test_bar);
    g_test_add_func("/progress/narrow-bar-says-less", test_narrow);
    g_test_add_func("/progress/odd-numbers", test_odd_numbers);
    g_test_add_func("/progress/json-has-the-keys", test_json);
    g_test_add_func("/progress/json-seconds-are-short", test_json_seconds);
    g_test_add_func("/progress/json-leaves-out-the-unknown",
                    test_json_unknown);
    g_test_add_func("/progress/json-tells-what-is-buffered",
                    test_json_buffered);
    g_test_add_func("/progress/json-ends-in-the-result", test_json_end);
    return g_test_run();
}
