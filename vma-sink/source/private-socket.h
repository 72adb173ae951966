/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A unix socket that nobody can connect to but who is told how.
 */
#ifndef SOURCE_PRIVATE_SOCKET_H
#define SOURCE_PRIVATE_SOCKET_H

#include <glib.h>

/*
 * A socket that listens, with room for so many clients that wait, and has no
 * name in any folder any more: it is connected to as /proc/self/fd/NAME_FD.
 * Both are the caller's to close.  -1 on an error.
 */
int private_socket_listen(int clients, int *name_fd, GError **error);

#endif /* SOURCE_PRIVATE_SOCKET_H */
