/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that a backup by libvirt needs for a while: for each disk an image
 * for what the guest overwrites, and the NBD server's socket.
 *
 * They are in a folder of their own in the user's folder, which has the guest's
 * UUID in its name and is locked as long as this vma-dump lives.  So a job in
 * libvirt whose files are in such a folder is ours, of one that is gone, or of
 * another vma-dump that runs.  The files lose their names as soon as QEMU has
 * opened them: what a vma-dump that is killed leaves is an empty folder.
 */
#ifndef SOURCE_LIBVIRT_SCRATCH_H
#define SOURCE_LIBVIRT_SCRATCH_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct LibvirtScratch LibvirtScratch;

typedef struct LibvirtScratchOptions {
    const char *folder;
    uint64_t limit_bytes;       /* most that each image takes; 0: any */
    const char *uuid;           /* the guest's */
    uid_t uid;                  /* QEMU's */
    gid_t gid;
    const char *socket_folder;  /* QEMU may make sockets there; NULL: any */
} LibvirtScratchOptions;

/* Removes as well what earlier ones have left in the folder, for this guest. */
LibvirtScratch *libvirt_scratch_new(const LibvirtScratchOptions *options,
                                    GError **error);
/* Removes all that is there. */
void libvirt_scratch_free(LibvirtScratch *scratch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibvirtScratch, libvirt_scratch_free)

/* Makes an image for one more disk. */
bool libvirt_scratch_add(LibvirtScratch *scratch, uint64_t disk_bytes,
                         GError **error);

/* Absolute paths; borrowed. */
const char *libvirt_scratch_image(const LibvirtScratch *scratch,
                                  unsigned index);
const char *libvirt_scratch_socket(const LibvirtScratch *scratch);

/*
 * Once QEMU has opened all: takes the names away.  The socket can be connected
 * to by libvirt_scratch_socket_fd() from then on.
 */
bool libvirt_scratch_hide(LibvirtScratch *scratch, GError **error);
int libvirt_scratch_socket_fd(const LibvirtScratch *scratch);

/* Whether an image takes more than it may, and which.  By any thread. */
bool libvirt_scratch_is_full(const LibvirtScratch *scratch, unsigned *index);

/* Whether the file system has no room for them any more.  By any thread. */
bool libvirt_scratch_no_space(const LibvirtScratch *scratch);

typedef enum LibvirtOwner {
    LIBVIRT_FOREIGN,            /* it was not made here */
    LIBVIRT_MINE,
    LIBVIRT_RUNNING,            /* another vma-dump's */
    LIBVIRT_ABANDONED,          /* a vma-dump's that is gone */
} LibvirtOwner;

/*
 * Whose an image is that a backup of the guest has; MINE, if not NULL, is what
 * this vma-dump has made.
 */
LibvirtOwner libvirt_scratch_owner(const char *image, const char *uuid,
                                   const LibvirtScratch *mine);

#endif /* SOURCE_LIBVIRT_SCRATCH_H */
