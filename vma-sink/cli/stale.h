/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What killed processes have left in a folder, for whoever starts the next one.
 */
#ifndef CLI_STALE_H
#define CLI_STALE_H

/*
 * Removes the temporary files and folders beside PATH, which is to be created,
 * that are surely nobody's, and notes them and those that may be (io/stale.h).
 * "-" has nothing beside it.
 */
void cli_remove_stale(const char *path);

#endif /* CLI_STALE_H */
