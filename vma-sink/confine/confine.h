/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program gives up before it reads the first byte of what may come from
 * anybody, a stream or an archive.  Should a reader have a hole, who comes in
 * by it can't start a program, connect to anywhere, look at another process, or
 * open what the command line does not name:
 *
 *   no new privileges   nothing that is started is set-uid
 *   Landlock            files: what is named here, no other (landlock.c)
 *   seccomp             system calls: what is needed, no other (seccomp.c)
 *
 * Each is used where the kernel has it and the system permits all of it; what is
 * missing is no error, and confine_describe() says it, by the same questions.
 * None of it can be undone.
 */
#ifndef CONFINE_CONFINE_H
#define CONFINE_CONFINE_H

#include <glib.h>
#include <stdbool.h>

/* False after --no-confine: then everything here does nothing. */
extern gboolean confine_wanted;

#define CONFINE_OPTION \
    { "no-confine", 0, G_OPTION_FLAG_REVERSE, G_OPTION_ARG_NONE, \
      &confine_wanted, "Do not give up, before the input is read, the rights " \
      "that are not needed", NULL }

/* What will be opened by a path. */
typedef struct Confine Confine;

Confine *confine_new(void);
void confine_free(Confine *confine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Confine, confine_free)

/*
 * Each path is looked up now; of one that can't be, whoever opens it later says
 * what is wrong with it.  A folder stands for all that is below it.
 */
void confine_may_read(Confine *confine, const char *path);

/* A file or a device that is there may be read and written. */
void confine_may_write(Confine *confine, const char *path);

/* In a folder files and folders may be made, written, renamed and removed. */
void confine_may_change(Confine *confine, const char *folder);

/* The same in the folder that PATH is to be in. */
void confine_may_create(Confine *confine, const char *path);

/*
 * In the folder that PATH is to be in files and links, or folders, may get
 * another name, and be removed, and empty ones made.  None can be opened, nor
 * moved to another folder; what is open already stays so.
 */
void confine_may_rename(Confine *confine, const char *path);
void confine_may_rename_folder(Confine *confine, const char *path);

/* Files in a folder may be removed, and it may be itself. */
void confine_may_remove(Confine *confine, const char *folder);

typedef enum ConfineKind {
    CONFINE_PROGRAM,            /* of ours */
    CONFINE_PLUGIN,             /* within a server that has needs of its own */
} ConfineKind;

/*
 * From here on this thread, and those that it starts, can do no more than that;
 * Landlock leaves other threads as they are, so there should be none that does
 * anything of weight.  False: the kernel has it and refuses.
 */
bool confine_enter(const Confine *confine, ConfineKind kind, GError **error);

/*
 * "seccomp yes; landlock yes (ABI 6)", or "no (why)", to be freed.  Nothing
 * is confined, but that new privileges are given up, without which it can't be
 * told.
 */
char *confine_describe(void);

/* To an error that may come from being confined adds what to do then. */
void confine_explain(GError *error);

/*
 * Calls FUNC in a child that is confined, and gives back how that went and
 * nothing else: for a program that must not be confined itself, or not yet, and
 * that has no other threads.  What the child says may be a lie: nothing may
 * depend on it but whether to go on.  A signal (io/io.h) ends the waiting, and
 * the child.
 */
typedef bool ConfineFunc(void *opaque, GError **error);

bool confine_try(const Confine *confine, ConfineFunc *func, void *opaque,
                 GError **error);

#endif /* CONFINE_CONFINE_H */
