/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client may wish that can do nothing but add archives to a folder.
 */
#include "sink/receive.h"

#include <string.h>

#include "backup/file-names.h"

#define PROGRAM "vma-sink"
#define COMPRESS "--compress="
#define WORDS_MAX 4
/* No command that is taken is longer. */
#define COMMAND_MAX_BYTES 256u

static bool compress_is_valid(const char *method)
{
    return strcmp(method, "none") == 0 || strcmp(method, "zstd") == 0 ||
           (g_str_has_prefix(method, "zstd:") && method[5] >= '1' &&
            method[5] <= '9' && !method[6]);
}

/* "vma-sink [--compress=METHOD] [-o] NAME". */
static bool take_words(char **words, SinkWish *wish)
{
    if (g_strcmp0(*words, PROGRAM) != 0) {
        return false;
    }
    words++;
    if (*words && g_str_has_prefix(*words, COMPRESS)) {
        wish->compress = g_strdup(*words++ + strlen(COMPRESS));
    }
    if (g_strcmp0(*words, "-o") == 0) {
        words++;
    }
    if (!*words || words[1]) {
        return false;
    }
    wish->name = g_strdup(*words);
    return backup_archive_name_is_plain(wish->name) &&
           (!wish->compress || compress_is_valid(wish->compress));
}

bool sink_wish_parse(const char *command, const char *pattern, SinkWish *wish)
{
    g_auto(GStrv) words = NULL;

    memset(wish, 0, sizeof(*wish));
    if (!command || strnlen(command, COMMAND_MAX_BYTES + 1) >
                    COMMAND_MAX_BYTES) {
        return false;
    }
    /* One more than there may be, which has what is left. */
    words = g_strsplit(command, " ", WORDS_MAX + 1);
    if (take_words(words, wish) &&
        (!pattern || g_pattern_match_simple(pattern, wish->name))) {
        return true;
    }
    sink_wish_clear(wish);
    return false;
}

void sink_wish_clear(SinkWish *wish)
{
    g_clear_pointer(&wish->name, g_free);
    g_clear_pointer(&wish->compress, g_free);
}

char *sink_own_name(const uuid_t uuid, bool compressed)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *time = g_date_time_format(now, "%Y-%m-%d-%H%M%S");
    char text[UUID_STR_LEN];

    uuid_unparse_lower(uuid, text);
    return g_strdup_printf("%s-%s.vma%s", time, text,
                           compressed ? ".zst" : "");
}
