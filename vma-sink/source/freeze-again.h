/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that could not be thawed at once is tried to be thawed again and
 * again by a thread of its own, while the backup may wait for its reader.
 */
#ifndef SOURCE_FREEZE_AGAIN_H
#define SOURCE_FREEZE_AGAIN_H

#include "source/freeze.h"

typedef struct FreezeAgain FreezeAgain;

/*
 * FREEZE is the thread's alone from now on.  *AGAIN is NULL if its file systems
 * are not frozen, or if it is NULL.  False: no thread can be started, and it
 * stays the caller's.
 */
bool freeze_again_start(Freeze *freeze, FreezeAgain **again, GError **error);

/* Ends the thread, within a second or so; NULL does nothing. */
void freeze_again_stop(FreezeAgain *again);

#endif /* SOURCE_FREEZE_AGAIN_H */
