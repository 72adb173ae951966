/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes from libvirt's XML, which has neither entities of its own nor CDATA,
 * what is needed of it.
 */
#include "source/libvirt-disks.h"

#include <string.h>

#include "backup/error.h"
#include "backup/info.h"
#include "wire/format.h"

static void libvirt_disk_free(LibvirtDisk *disk)
{
    g_free(disk->name);
    g_free(disk->target);
    g_free(disk->alias);
    g_free(disk->kind);
    g_free(disk->source);
    g_free(disk->error_policy);
    g_free(disk);
}

void libvirt_xml_free(LibvirtXml *xml)
{
    if (xml) {
        g_ptr_array_unref(xml->disks);
        g_free(xml->name);
        g_free(xml->dac_label);
        g_free(xml);
    }
}

/* Parsing */

typedef struct Parser {
    LibvirtXml *xml;
    LibvirtDisk *disk;          /* the one that is being read, or NULL */
    bool dac;                   /* within its seclabel */
} Parser;

static const char *attribute(const char **names, const char **values,
                             const char *name)
{
    for (; *names; names++, values++) {
        if (strcmp(*names, name) == 0) {
            return *values;
        }
    }
    return NULL;
}

/* Whether the elements around, from the innermost on, are these. */
static bool is_within(GMarkupParseContext *context, const char *path)
{
    const GSList *stack = g_markup_parse_context_get_element_stack(context);
    g_auto(GStrv) words = g_strsplit(path, "<", -1);
    char **word = words;

    for (; stack && *word; stack = stack->next, word++) {
        if (strcmp(stack->data, *word) != 0) {
            return false;
        }
    }
    return !stack && !*word;
}

static void start_disk(Parser *p, const char **names, const char **values)
{
    const char *kind = attribute(names, values, "device");

    p->disk = g_new0(LibvirtDisk, 1);
    p->disk->kind = g_strdup(kind ? kind : "disk");
    p->disk->source = g_strdup(attribute(names, values, "type"));
    g_ptr_array_add(p->xml->disks, p->disk);
}

/* What is straight below a disk. */
static void add_to_disk(LibvirtDisk *disk, const char *element,
                        const char **names, const char **values)
{
    if (strcmp(element, "target") == 0 && !disk->target) {
        disk->target = g_strdup(attribute(names, values, "dev"));
    } else if (strcmp(element, "alias") == 0 && !disk->alias) {
        disk->alias = g_strdup(attribute(names, values, "name"));
    } else if (strcmp(element, "driver") == 0 && !disk->error_policy) {
        disk->error_policy = g_strdup(attribute(names, values,
                                                "error_policy"));
    } else if (strcmp(element, "source") == 0) {
        disk->inserted = *names != NULL;
    } else if (strcmp(element, "readonly") == 0) {
        disk->read_only = true;
    } else if (strcmp(element, "shareable") == 0) {
        disk->shareable = true;
    }
}

static void on_start(GMarkupParseContext *context, const char *element,
                     const char **names, const char **values, void *opaque,
                     GError **error)
{
    Parser *p = opaque;

    (void)error;
    if (is_within(context, "disk<devices<domain")) {
        start_disk(p, names, values);
    } else if (p->disk) {
        const GSList *stack =
            g_markup_parse_context_get_element_stack(context);

        if (g_strcmp0(stack->next->data, "disk") == 0 &&
            g_slist_length((GSList *)stack) == 4) {
            add_to_disk(p->disk, element, names, values);
        }
    } else if (is_within(context, "iothreads<domain")) {
        p->xml->io_threads = true;
    } else if (is_within(context, "seclabel<domain")) {
        p->dac = g_strcmp0(attribute(names, values, "model"), "dac") == 0;
    }
}

static void on_end(GMarkupParseContext *context, const char *element,
                   void *opaque, GError **error)
{
    Parser *p = opaque;

    (void)element;
    (void)error;
    if (is_within(context, "disk<devices<domain")) {
        p->disk = NULL;
    } else if (is_within(context, "seclabel<domain")) {
        p->dac = false;
    }
}

static void on_text(GMarkupParseContext *context, const char *text,
                    gsize bytes, void *opaque, GError **error)
{
    Parser *p = opaque;

    (void)error;
    if (p->dac && !p->xml->dac_label &&
        is_within(context, "label<seclabel<domain")) {
        p->xml->dac_label = g_strndup(text, bytes);
    } else if (!p->xml->name && is_within(context, "name<domain")) {
        p->xml->name = g_strndup(text, bytes);
    }
}

static bool parse(const char *text, const GMarkupParser *parser, void *opaque,
                  GError **error)
{
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(parser, 0, opaque, NULL);

    return g_markup_parse_context_parse(context, text, -1, error) &&
           g_markup_parse_context_end_parse(context, error);
}

LibvirtXml *libvirt_xml_parse(const char *text, GError **error)
{
    static const GMarkupParser parser = {
        .start_element = on_start,
        .end_element = on_end,
        .text = on_text,
    };
    g_autoptr(LibvirtXml) xml = g_new0(LibvirtXml, 1);
    g_autoptr(GError) local = NULL;
    Parser state = { .xml = xml };

    xml->disks =
        g_ptr_array_new_with_free_func((GDestroyNotify)libvirt_disk_free);
    if (!parse(text, &parser, &state, &local)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot read the guest's XML: %s", local->message);
        return NULL;
    }
    return g_steal_pointer(&xml);
}

static void on_backup_start(GMarkupParseContext *context, const char *element,
                            const char **names, const char **values,
                            void *opaque, GError **error)
{
    char **path = opaque;

    (void)context;
    (void)error;
    if (!*path && strcmp(element, "scratch") == 0) {
        *path = g_strdup(attribute(names, values, "file"));
    }
}

char *libvirt_backup_scratch(const char *xml)
{
    static const GMarkupParser parser = { .start_element = on_backup_start };
    char *path = NULL;

    (void)parse(xml, &parser, &path, NULL);
    return path;
}

/* Choosing */

static bool is_writable(const LibvirtDisk *disk)
{
    return disk->inserted && !disk->read_only &&
           strcmp(disk->kind, "cdrom") != 0;
}

/* Why QEMU does not see what the guest writes to it; NULL: it does. */
static const char *bypasses(const LibvirtDisk *disk)
{
    return strcmp(disk->kind, "lun") == 0
           ? "its commands are passed through to the device (device='lun')"
           : g_strcmp0(disk->source, "vhostuser") == 0 ||
             g_strcmp0(disk->source, "vhostvdpa") == 0
           ? "it is another program's (vhost)" : NULL;
}

static bool add_disk(GPtrArray *disks, LibvirtDisk *disk, const char *name,
                     GError **error)
{
    const char *why = bypasses(disk);

    if (!why && !backup_name_is_valid(name, strlen(name))) {
        why = "a backup can't have such a name";
    } else if (!why && disks->len >= WIRE_DEVICES_MAX) {
        why = "there are too many";
    }
    if (why) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "device '%s' can't be backed up: %s (--device chooses "
                    "others)", name, why);
        return false;
    }
    disk->name = g_strdup(name);
    g_ptr_array_add(disks, disk);
    return true;
}

static LibvirtDisk *find_disk(LibvirtXml *xml, const char *name)
{
    for (guint i = 0; i < xml->disks->len; i++) {
        LibvirtDisk *disk = g_ptr_array_index(xml->disks, i);

        if (g_strcmp0(disk->target, name) == 0) {
            return disk;
        }
    }
    for (guint i = 0; i < xml->disks->len; i++) {
        LibvirtDisk *disk = g_ptr_array_index(xml->disks, i);

        if (g_strcmp0(disk->alias, name) == 0) {
            return disk;
        }
    }
    return NULL;
}

static bool add_named(GPtrArray *disks, LibvirtXml *xml, const char *name,
                      GError **error)
{
    LibvirtDisk *disk = find_disk(xml, name);

    if (disk && is_writable(disk) && disk->target && !disk->name) {
        return add_disk(disks, disk, name, error);
    }
    if (disk && disk->name) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "device '%s' is listed twice, also as '%s'", name,
                    disk->name);
    } else {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "device '%s' %s", name,
                    !disk ? "not found ('virsh domblklist' tells what disks "
                            "there are)"
                    : !disk->inserted ? "has no medium" : "is read-only");
    }
    return false;
}

GPtrArray *libvirt_disks_choose(LibvirtXml *xml, char **devices,
                                GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new();

    for (char **name = devices; name && *name; name++) {
        if (!add_named(disks, xml, *name, error)) {
            return NULL;
        }
    }
    for (guint i = 0; !devices && i < xml->disks->len; i++) {
        LibvirtDisk *disk = g_ptr_array_index(xml->disks, i);

        if (is_writable(disk) && disk->target &&
            !add_disk(disks, disk, disk->target, error)) {
            return NULL;
        }
    }
    if (disks->len == 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "there is no disk that the guest can write to");
        return NULL;
    }
    return g_steal_pointer(&disks);
}
