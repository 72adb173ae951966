/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which disks are to be restored, to what, and whether that goes together.
 */
#include "restore/disks.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/error.h"
#include "io/nbd-uri.h"
#include "restore/check.h"

/* False, for the caller to return. */
static bool set_usage(GError **error, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

static bool set_usage(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE, "%s", text);
    return false;
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
    if (io_nbd_uri_is_meant(target)) {
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
            return set_usage(error, "the archive has more than one disk '%s'",
                             device->name);
        }
    }
    return true;
}

const BackupDevice *restore_disks_find(const BackupInfo *info,
                                       const char *name, GError **error)
{
    const BackupDevice *device = backup_info_find_device(info, name);

    if (!device) {
        set_usage(error, "the archive has no disk '%s'", name);
        return NULL;
    }
    return check_unique(info, device, error) ? device : NULL;
}

static bool parse(RestoreDisks *disks, const BackupInfo *info,
                  const char *argument, GError **error)
{
    const char *target;
    const BackupDevice *device = find(info, argument, &target);

    if (!device) {
        return set_usage(error, "the archive has no disk '%.*s'",
                         (int)strcspn(argument, "="), argument);
    }
    if (!check_unique(info, device, error)) {
        return false;
    }
    if (disks->selected[device->id]) {
        return set_usage(error, "disk '%s' is named twice", device->name);
    }
    if (target && !*target) {
        return set_usage(error, "disk '%s' has an empty target", device->name);
    }
    disks->selected[device->id] = true;
    disks->targets[device->id] = target;
    disks->forms[device->id] = form_of(target);
    return disks->forms[device->id] != RESTORE_FORM_NBD ||
           io_nbd_uri_verify(target, error);
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

guint restore_disks_count_in_place(const RestoreDisks *disks)
{
    return restore_disks_count_form(disks, RESTORE_FORM_BLOCK) +
           restore_disks_count_form(disks, RESTORE_FORM_NBD);
}

/* What of the options does not go together, now that the disks are known. */
static bool check_options(const RestoreDisks *disks, const RestoreExtract *o,
                          GError **error)
{
    guint in_folder = restore_disks_count_form(disks, RESTORE_FORM_FOLDER);

    if (restore_disks_count_form(disks, RESTORE_FORM_STDOUT) > 0) {
        if (restore_disks_count(disks) > 1) {
            return set_usage(error, "a disk that goes to standard output must "
                             "be the only one");
        }
        if (o->salvage) {
            return set_usage(error, "--salvage can't restore to standard "
                             "output");
        }
    }
    if (!o->folder && (in_folder > 0 || disks->configs)) {
        return set_usage(error, "there is no FOLDER, and not every disk has a "
                         "TARGET");
    }
    if (o->folder && in_folder == 0 && !disks->configs) {
        return set_usage(error, "nothing would be restored to the folder '%s': "
                         "every disk has a TARGET", o->folder);
    }
    if (o->zeroed && restore_disks_count_in_place(disks) == 0) {
        return set_usage(error, "--zeroed is for block devices and NBD");
    }
    return true;
}

static const BackupDevice *first_selected(const RestoreDisks *disks,
                                          const BackupInfo *info)
{
    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        if (disks->selected[device->id]) {
            return device;
        }
    }
    return NULL;
}

static bool check_range(const RestoreDisks *disks, const BackupInfo *info,
                        const RestoreExtract *o, GError **error)
{
    const BackupDevice *device = first_selected(disks, info);
    const RestoreRange *range = o->range;

    if (!range) {
        return true;
    }
    if (disks->all || restore_disks_count(disks) != 1) {
        return set_usage(error, "--range is for one disk: --disk must be there "
                         "once");
    }
    if (disks->forms[device->id] != RESTORE_FORM_FILE &&
        disks->forms[device->id] != RESTORE_FORM_STDOUT) {
        return set_usage(error, "--range restores to a file (--disk=NAME=FILE) "
                         "or to standard output");
    }
    if (o->salvage) {
        return set_usage(error, "--salvage can't restore a range");
    }
    if (restore_is_vmstate(device)) {
        return set_usage(error, "there are no ranges of '%s': its size is not "
                         "known", device->name);
    }
    if (range->offset > device->size_bytes ||
        range->bytes > device->size_bytes - range->offset) {
        return set_usage(error, "disk '%s' has %" G_GUINT64_FORMAT " bytes: "
                         "the range ends behind them", device->name,
                         device->size_bytes);
    }
    return true;
}

bool restore_disks_parse(RestoreDisks *disks, const BackupInfo *info,
                         const RestoreExtract *options, GError **error)
{
    const char *const *arguments = options->disks;

    *disks = (RestoreDisks) {
        .all = !arguments,
        .configs = !arguments || options->configs,
    };
    for (guint i = 0; disks->all && i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);

        disks->selected[device->id] = true;
    }
    for (; arguments && *arguments; arguments++) {
        if (!parse(disks, info, *arguments, error)) {
            return false;
        }
    }
    return check_options(disks, options, error) &&
           check_range(disks, info, options, error);
}

static char *identity(const struct stat *st)
{
    return S_ISBLK(st->st_mode)
           ? g_strdup_printf("device:%" G_GUINT64_FORMAT,
                             (guint64)st->st_rdev)
           : g_strdup_printf("file:%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
                             (guint64)st->st_dev, (guint64)st->st_ino);
}

/*
 * What tells a file or a block device from others, by whatever path it is
 * named, and whether it exists or not.
 */
static char *identity_of(const char *target)
{
    g_autofree char *folder = NULL;
    g_autofree char *name = NULL;
    struct stat st;

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

static char *identity_fd(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? identity(&st) : g_strdup("");
}

/* For messages. */
static char *show(const char *target, RestoreForm form)
{
    return form == RESTORE_FORM_NBD ? io_nbd_uri_without_password(target)
                                    : g_strdup(target);
}

/* What is overwritten can't be got back. */
static bool check_in_place(const BackupDevice *device, const char *target,
                           RestoreForm form, bool overwrite, GError **error)
{
    g_autofree char *shown = show(target, form);

    if (form != RESTORE_FORM_BLOCK && form != RESTORE_FORM_NBD) {
        return true;
    }
    if (restore_is_vmstate(device)) {
        return set_usage(error, "'%s' can't be restored to '%s': its size is "
                         "not known", device->name, shown);
    }
    if (!overwrite) {
        return set_usage(error, "the contents of '%s' would be overwritten "
                         "(--force permits that)", shown);
    }
    return true;
}

/* Nothing may be written twice, nor the archive be overwritten. */
static bool claim(GHashTable *claimed, const char *target, RestoreForm form,
                  int archive_fd, GError **error)
{
    g_autofree char *archive = identity_fd(archive_fd);
    g_autofree char *shown = show(target, form);
    g_autofree char *own = form == RESTORE_FORM_NBD
                           ? io_nbd_uri_identity(target) : identity_of(target);

    if (strcmp(own, archive) == 0) {
        return set_usage(error, "'%s' is the archive itself", shown);
    }
    if (!g_hash_table_add(claimed, g_steal_pointer(&own))) {
        return set_usage(error, "'%s' is named as the target of two disks",
                         shown);
    }
    return true;
}

bool restore_disks_check(const RestoreDisks *disks, const BackupInfo *info,
                         const RestoreExtract *options, char *const *names,
                         int archive_fd, GError **error)
{
    g_autoptr(GHashTable) claimed =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    guint configs = disks->configs ? info->configs->len : 0;

    for (guint i = 0; i < info->devices->len; i++) {
        const BackupDevice *device = g_ptr_array_index(info->devices, i);
        const char *target = disks->targets[device->id];
        RestoreForm form = disks->forms[device->id];
        g_autofree char *path = NULL;

        if (!disks->selected[device->id]) {
            continue;
        }
        if (!target) {
            path = g_build_filename(options->folder, *names++, NULL);
        }
        target = target ? target : path;
        if (!check_in_place(device, target, form, options->overwrite, error) ||
            !claim(claimed, target, form, archive_fd, error)) {
            return false;
        }
    }
    for (guint i = 0; i < configs; i++) {
        g_autofree char *path = g_build_filename(options->folder, names[i],
                                                 NULL);

        if (!claim(claimed, path, RESTORE_FORM_FOLDER, archive_fd, error)) {
            return false;
        }
    }
    return true;
}

bool restore_disks_check_stdout(int archive_fd, GError **error)
{
    g_autofree char *archive = identity_fd(archive_fd);
    g_autofree char *own = identity_fd(STDOUT_FILENO);
    struct stat st;

    /* Both may well be the same terminal or socket. */
    return fstat(archive_fd, &st) < 0 ||
           !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) ||
           strcmp(own, archive) != 0 ||
           set_usage(error, "standard output is the archive itself");
}
