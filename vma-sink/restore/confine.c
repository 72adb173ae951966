/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the command line to what may be opened.
 */
#include "restore/confine.h"

#include <string.h>
#include <sys/stat.h>

#include "io/nbd-uri.h"

Confine *restore_confine_new(const char *archive)
{
    Confine *confine = confine_new();

    if (strcmp(archive, "-") != 0) {
        confine_may_read(confine, archive);
    }
    return confine;
}

bool restore_confine(const char *archive, const char *output, GError **error)
{
    g_autoptr(Confine) confine = restore_confine_new(archive);

    if (output && strcmp(output, "-") != 0) {
        confine_may_create(confine, output);
    }
    return confine_enter(confine, CONFINE_PROGRAM, error);
}

/* A folder that is not there yet is made, and so is the entry for it. */
static void add_folder(Confine *confine, const char *folder)
{
    struct stat st;

    if (stat(folder, &st) == 0) {
        confine_may_change(confine, folder);
    } else {
        confine_may_create(confine, folder);
    }
}

static void add_target(Confine *confine, const char *target)
{
    struct stat st;

    if (strcmp(target, "-") == 0 || io_nbd_uri_is_meant(target)) {
        return;
    }
    if (stat(target, &st) == 0 && S_ISBLK(st.st_mode)) {
        confine_may_write(confine, target);
    } else {
        confine_may_create(confine, target);
    }
}

bool restore_confine_extract(const RestoreExtract *options, GError **error)
{
    g_autoptr(Confine) confine = restore_confine_new(options->archive);
    const char *const *disks = options->disks;

    if (options->folder) {
        add_folder(confine, options->folder);
    }
    /* Which '=' ends the name is seen in the archive. */
    for (; disks && *disks; disks++) {
        for (const char *p = *disks; (p = strchr(p, '=')); ) {
            /* What is behind a URI's own '=' is no file's name. */
            if (io_nbd_uri_is_meant(++p)) {
                break;
            }
            add_target(confine, p);
        }
    }
    return confine_enter(confine, CONFINE_PROGRAM, error);
}
