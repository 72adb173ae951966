/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client may ask for that can do nothing but read archives.
 */
#include "restore/forced.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "backup/error.h"
#include "backup/file-names.h"

#define PROGRAM "vma-restore"
#define COMMAND_MAX_BYTES 512u
#define WORDS_MAX 8

/* What a command takes, besides one archive. */
static const struct {
    const char *name;
    bool json;
    bool config;                /* a name behind the archive's */
    bool disk;                  /* and needs it */
} commands[] = {
    { .name = "list", .json = true },
    { .name = "verify" },
    { .name = "config", .config = true },
    { .name = "extract", .disk = true },
};

/* "DISK=-" */
static bool is_disk(const char *word)
{
    g_autofree char *name = g_str_has_suffix(word, "=-")
                            ? g_strndup(word, strlen(word) - 2) : NULL;

    return name && backup_name_is_plain(name);
}

static bool is_range(const char *word)
{
    return *word && word[strspn(word, "0123456789KMGT:")] == 0;
}

/* The words behind the command's; which one is the archive, or NULL. */
static const char *find_archive(char **word, size_t command)
{
    const char *archive = NULL;
    bool config = false, disk = false;

    for (; *word; word++) {
        if (commands[command].json && strcmp(*word, "--json") == 0) {
            continue;
        }
        if (commands[command].disk && word[1] && !disk &&
            strcmp(*word, "-d") == 0 && is_disk(word[1])) {
            disk = true;
            word++;
        } else if (commands[command].disk && word[1] &&
                   strcmp(*word, "--range") == 0 && is_range(word[1])) {
            word++;
        } else if (!archive && backup_archive_name_is_plain(*word)) {
            archive = *word;
        } else if (archive && commands[command].config && !config &&
                   backup_name_is_plain(*word)) {
            config = true;
        } else {
            return NULL;
        }
    }
    return disk == commands[command].disk ? archive : NULL;
}

static const char *archive_of(char **words)
{
    if (g_strcmp0(words[0], PROGRAM) != 0 || !words[1]) {
        return NULL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(words[1], commands[i].name) == 0) {
            return find_archive(words + 2, i);
        }
    }
    return NULL;
}

static char **parse(const char *command, GError **error)
{
    g_auto(GStrv) words = NULL;

    if (command && strnlen(command, COMMAND_MAX_BYTES + 1) <=
                   COMMAND_MAX_BYTES) {
        /* One more than there may be, which has what is left. */
        words = g_strsplit(command, " ", WORDS_MAX + 1);
    }
    if (!words || !archive_of(words)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "this key is for reading archives, by one of: "
                    "vma-restore list [--json] ARCHIVE; "
                    "vma-restore verify ARCHIVE; "
                    "vma-restore config ARCHIVE [NAME]; "
                    "vma-restore extract -d DISK=- [--range OFFSET:LENGTH] "
                    "ARCHIVE");
        return NULL;
    }
    return g_steal_pointer(&words);
}

char **restore_forced(const char *command, GError **error)
{
    g_auto(GStrv) words = parse(command, error);
    struct stat st;

    if (!words) {
        return NULL;
    }
    if (lstat(archive_of(words), &st) < 0) {
        backup_error_set_errno(error, errno, "cannot open '%s'",
                               archive_of(words));
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot open '%s': it is no file", archive_of(words));
        return NULL;
    }
    return g_steal_pointer(&words);
}
