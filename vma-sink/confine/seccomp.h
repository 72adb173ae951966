/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seccomp: which system calls may be made.
 */
#ifndef CONFINE_SECCOMP_H
#define CONFINE_SECCOMP_H

#include <glib.h>
#include <stdbool.h>

#include "confine/confine.h"

/* Why there is none; NULL: there is. */
const char *confine_seccomp_missing(void);

/* Of all threads.  False: errno is set. */
bool confine_seccomp_enter(ConfineKind kind);

#endif /* CONFINE_SECCOMP_H */
