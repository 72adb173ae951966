/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words about what is left over; io/stale.c finds it.
 */
#include "cli/stale.h"

#include <glib.h>
#include <string.h>

#include "cli/cli.h"
#include "io/stale.h"

static void tell(const char *path, bool removed, void *opaque)
{
    g_autofree char *printable = cli_printable(path);

    (void)opaque;
    if (removed) {
        cli_note("removed '%s', which a process that was killed has left",
                 printable);
    } else {
        cli_note("'%s' looks left over from a process that was killed: remove "
                 "it if nobody writes it", printable);
    }
}

void cli_remove_stale(const char *path)
{
    if (strcmp(path, "-") != 0) {
        io_stale_remove(path, tell, NULL);
    }
}
