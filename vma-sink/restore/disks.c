/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which disks are to be restored, and to what.
 */
#include "restore/disks.h"

#include <string.h>
#include <sys/stat.h>

#include "backup/error.h"

/* nbd://, nbds://, nbd+unix:// and so on. */
static bool is_nbd(const char *target)
{
    const char *rest = target;

    if (!g_str_has_prefix(rest, "nbd")) {
        return false;
    }
    rest += strlen("nbd");
    rest += *rest == 's';
    if (*rest == '+') {
        rest += 1 + strspn(rest + 1, "abcdefghijklmnopqrstuvwxyz");
    }
    return g_str_has_prefix(rest, "://");
}

static RestoreForm form_of(const char *target)
{
    struct stat st;

    if (!target) {
        return RESTORE_FORM_FOLDER;
    }
    if (strcmp(target, "-") == 0) {
        return RESTORE_FORM_STDOUT;
    }
    if (is_nbd(target)) {
        return RESTORE_FORM_NBD;
    }
    return stat(target, &st) == 0 && S_ISBLK(st.st_mode) ? RESTORE_FORM_BLOCK
                                                         : RESTORE_FORM_FILE;
}

/* The disk that an argument begins with; what comes behind its name. */
static const BackupDevice *find(const BackupInfo *info, const char *argument,
                                const char **target)
{
    const BackupDevice *device = backup_info_find_device(info, argument);

    *target = NULL;
    for (const char *p = argument; !device && (p = strchr(p, '=')); p++) {
        g_autofree char *name = g_strndup(argument, p - argument);

        device = backup_info_find_device(info, name);
        *target = p + 1;
    }
    return device;
}

static bool check_unique(const BackupInfo *info, const BackupDevice *device,
                         GError **error)
{
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *other = g_ptr_array_index(info->devices, i);

        if (other != device && strcmp(other->name, device->name) == 0) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                        "the archive has more than one disk '%s'",
                        device->name);
            return false;
        }
    }
    return true;
}

static bool parse(RestoreDisks *disks, const BackupInfo *info,
                  const char *argument, GError **error)
{
    const char *target;
    const BackupDevice *device = find(info, argument, &target);

    if (!device) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "the archive has no disk '%.*s'",
                    (int)strcspn(argument, "="), argument);
        return false;
    }
    if (!check_unique(info, device, error)) {
        return false;
    }
    if (disks->selected[device->id]) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "disk '%s' is named twice", device->name);
        return false;
    }
    if (target && !*target) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                    "disk '%s' has an empty target", device->name);
        return false;
    }
    disks->selected[device->id] = true;
    disks->targets[device->id] = target;
    disks->forms[device->id] = form_of(target);
    return true;
}

bool restore_disks_parse(RestoreDisks *disks, const BackupInfo *info,
                         const char *const *arguments, GError **error)
{
    *disks = (RestoreDisks) { .all = !arguments };
    for (guint i = 0; disks->all && i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        disks->selected[device->id] = true;
    }
    for (; arguments && *arguments; arguments++) {
        if (!parse(disks, info, *arguments, error)) {
            return false;
        }
    }
    return true;
}

guint restore_disks_count(const RestoreDisks *disks)
{
    guint count = 0;

    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        count += disks->selected[id];
    }
    return count;
}

guint restore_disks_count_form(const RestoreDisks *disks, RestoreForm form)
{
    guint count = 0;

    for (unsigned id = 0; id < BACKUP_DEVICE_IDS; id++) {
        count += disks->selected[id] && disks->forms[id] == form;
    }
    return count;
}

static char *identity(const struct stat *st)
{
    return S_ISBLK(st->st_mode)
           ? g_strdup_printf("device:%" G_GUINT64_FORMAT,
                             (guint64)st->st_rdev)
           : g_strdup_printf("file:%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
                             (guint64)st->st_dev, (guint64)st->st_ino);
}

char *restore_identity(const char *target)
{
    g_autofree char *folder = NULL;
    g_autofree char *name = NULL;
    struct stat st;

    if (is_nbd(target)) {
        return g_strdup(target);
    }
    if (stat(target, &st) == 0) {
        return identity(&st);
    }
    /* A file to be: its folder, and its name in there. */
    folder = g_path_get_dirname(target);
    name = g_path_get_basename(target);
    if (stat(folder, &st) == 0) {
        g_free(folder);
        folder = identity(&st);
    }
    return g_strdup_printf("%s/%s", folder, name);
}

char *restore_identity_fd(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? identity(&st) : g_strdup("");
}
