/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of the formats.
 */
#include "sink/format.h"

#include <string.h>

#include "backup/error.h"

const SinkFormat *sink_format_find(const char *name, GError **error)
{
    static const SinkFormat *const formats[] = {
        &sink_format_vma, &sink_format_raw,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (strcmp(name, formats[i]->name) == 0) {
            return formats[i];
        }
    }
    g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_USAGE,
                "there is no format '%s', only vma and raw", name);
    return NULL;
}
