/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the library and its functions.
 */
#include "source/libvirt-api.h"

#include <dlfcn.h>

#include "backup/error.h"

/* The only one that there has ever been. */
#define LIBRARY "libvirt.so.0"

/* What libvirt would print is in our own messages. */
static void ignore_error(void *opaque, virErrorPtr error)
{
    (void)opaque;
    (void)error;
}

const LibvirtApi *libvirt_api_load(GError **error)
{
    static LibvirtApi api;
    static const struct {
        const char *name;
        void **function;
    } functions[] = {
#define LIBVIRT_ENTRY(name) { #name, (void **)&api.name },
        LIBVIRT_FUNCTIONS(LIBVIRT_ENTRY)
#undef LIBVIRT_ENTRY
    };
    static bool loaded;
    void *library;

    if (loaded) {
        return &api;
    }
    /* Never closed: threads of it may run to the end. */
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot load libvirt's library (Debian's package is "
                    "libvirt0): %s", dlerror());
        return NULL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(functions); i++) {
        *functions[i].function = dlsym(library, functions[i].name);
        if (!*functions[i].function) {
            g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                        "this libvirt is older than 6.0: it has no %s",
                        functions[i].name);
            return NULL;
        }
    }
    if (api.virInitialize() < 0) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "cannot initialize libvirt's library: %s",
                    api.virGetLastErrorMessage());
        return NULL;
    }
    api.virSetErrorFunc(NULL, ignore_error);
    loaded = true;
    return &api;
}
