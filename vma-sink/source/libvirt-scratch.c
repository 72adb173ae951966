/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the folder and what is in it, and tells whose another one is.
 */
#include "source/libvirt-scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "backup/error.h"
#include "io/io.h"

#define PREFIX "vma-dump-libvirt-"
#define SOCKET "nbd"
/* What an image needs for a cluster, with what belongs to it. */
#define ROOM_BYTES (UINT64_C(1) << 20)

/* An empty qcow2 image, version 3. */
#define QCOW2_CLUSTER_BITS 16
#define QCOW2_CLUSTER_BYTES (UINT64_C(1) << QCOW2_CLUSTER_BITS)
/* What an entry of the first table covers: a cluster of entries of 8 bytes. */
#define QCOW2_L1_BYTES (QCOW2_CLUSTER_BYTES * (QCOW2_CLUSTER_BYTES / 8))
/* The clusters: header, table of refcounts, refcounts, first table. */
#define QCOW2_REFTABLE 1
#define QCOW2_REFCOUNTS 2
#define QCOW2_L1 3

typedef struct Qcow2Header {
    uint32_t magic;             /* "QFI\xfb"; all is big-endian */
    uint32_t version;
    uint64_t backing_offset;
    uint32_t backing_bytes;
    uint32_t cluster_bits;
    uint64_t size;
    uint32_t crypt_method;
    uint32_t l1_entries;
    uint64_t l1_offset;
    uint64_t reftable_offset;
    uint32_t reftable_clusters;
    uint32_t snapshots;
    uint64_t snapshots_offset;
    uint64_t incompatible;
    uint64_t compatible;
    uint64_t autoclear;
    uint32_t refcount_order;    /* 4: 16 bits each */
    uint32_t header_bytes;
} __attribute__((packed)) Qcow2Header;
G_STATIC_ASSERT(sizeof(Qcow2Header) == 104);

struct LibvirtScratch {
    /* Set at creation, never changed. */
    char *folder;               /* the user's, absolute */
    char *path;                 /* our own in there */
    int folder_fd;              /* the lock */
    uint64_t limit_bytes;
    uid_t uid;
    gid_t gid;
    char *socket;
    bool socket_elsewhere;      /* not in our own folder */

    GPtrArray *images;          /* of paths */
    GArray *fds;                /* the images' */
    int socket_fd;              /* -1: none yet */
};

/* Images */

static bool write_qcow2(int fd, uint64_t disk_bytes, GError **error)
{
    uint64_t entries = disk_bytes / QCOW2_L1_BYTES +
                       (disk_bytes % QCOW2_L1_BYTES != 0);
    uint64_t clusters = QCOW2_L1 + (entries * 8 + QCOW2_CLUSTER_BYTES - 1) /
                        QCOW2_CLUSTER_BYTES;
    const Qcow2Header header = {
        .magic = GUINT32_TO_BE(0x514649fb),
        .version = GUINT32_TO_BE(3),
        .cluster_bits = GUINT32_TO_BE(QCOW2_CLUSTER_BITS),
        .size = GUINT64_TO_BE(disk_bytes),
        .l1_entries = GUINT32_TO_BE((uint32_t)entries),
        .l1_offset = GUINT64_TO_BE(QCOW2_L1 * QCOW2_CLUSTER_BYTES),
        .reftable_offset = GUINT64_TO_BE(QCOW2_REFTABLE * QCOW2_CLUSTER_BYTES),
        .reftable_clusters = GUINT32_TO_BE(1),
        .refcount_order = GUINT32_TO_BE(4),
        .header_bytes = GUINT32_TO_BE(sizeof(header)),
    };
    const uint64_t refcounts = GUINT64_TO_BE(QCOW2_REFCOUNTS *
                                             QCOW2_CLUSTER_BYTES);
    g_autofree uint16_t *counts = g_new(uint16_t, clusters);

    for (uint64_t i = 0; i < clusters; i++) {
        counts[i] = GUINT16_TO_BE(1);
    }
    if (ftruncate(fd, clusters * QCOW2_CLUSTER_BYTES) < 0) {
        backup_error_set_errno(error, errno, "cannot make it larger");
        return false;
    }
    return io_pwrite(fd, &header, sizeof(header), 0, error) &&
           io_pwrite(fd, &refcounts, sizeof(refcounts),
                     QCOW2_REFTABLE * QCOW2_CLUSTER_BYTES, error) &&
           io_pwrite(fd, counts, clusters * sizeof(*counts),
                     QCOW2_REFCOUNTS * QCOW2_CLUSTER_BYTES, error);
}

/* The suffix is for AppArmor: libvirt's helper may look into such files. */
static char *image_name(unsigned index)
{
    return g_strdup_printf("disk-%u.qcow2", index);
}

/*
 * Root gives all to QEMU's user, also where libvirt is set not to do it; but for
 * the folder, if no socket has to be made there: libvirtd, which is root, follows
 * what names are in it.  Others can give the folder to a group that they are in,
 * which may make the socket there; the images get their owner from libvirt.
 */
static bool give_to_qemu(const LibvirtScratch *s, int fd, GError **error)
{
    bool root = geteuid() == 0;
    bool folder = fd == s->folder_fd;
    int ret = 0;

    if (root && !(folder && s->socket_elsewhere)) {
        ret = fchown(fd, s->uid, s->gid);
    } else if (folder && geteuid() != s->uid) {
        ret = fchown(fd, -1, s->gid);
        ret = ret < 0 ? ret : fchmod(fd, root ? 0710 : 0770);
    }
    if (ret < 0) {
        backup_error_set_errno(error, errno, "cannot give it to QEMU's %s",
                               root ? "user" : "group");
        return false;
    }
    return true;
}

bool libvirt_scratch_add(LibvirtScratch *s, uint64_t disk_bytes,
                         GError **error)
{
    g_autofree char *name = image_name(s->fds->len);
    int fd = openat(s->folder_fd, name,
                    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0) {
        backup_error_set_errno(error, errno, "cannot create a temporary image "
                               "in '%s'", s->folder);
        return false;
    }
    g_array_append_val(s->fds, fd);
    g_ptr_array_add(s->images, g_build_filename(s->path, name, NULL));
    if (!write_qcow2(fd, disk_bytes, error) || !give_to_qemu(s, fd, error)) {
        g_prefix_error(error, "cannot make a temporary image in '%s': ",
                       s->folder);
        return false;
    }
    return true;
}

const char *libvirt_scratch_image(const LibvirtScratch *s, unsigned index)
{
    return g_ptr_array_index(s->images, index);
}

bool libvirt_scratch_is_full(const LibvirtScratch *s, unsigned *index)
{
    struct stat st;

    for (guint i = 0; s->limit_bytes > 0 && i < s->fds->len; i++) {
        if (fstat(g_array_index(s->fds, int, i), &st) == 0 &&
            (uint64_t)st.st_blocks * 512 > s->limit_bytes) {
            *index = i;
            return true;
        }
    }
    return false;
}

bool libvirt_scratch_no_space(const LibvirtScratch *s)
{
    struct statvfs fs;

    return fstatvfs(s->folder_fd, &fs) == 0 &&
           fs.f_bavail < ROOM_BYTES / fs.f_frsize;
}

/* The socket */

const char *libvirt_scratch_socket(const LibvirtScratch *s)
{
    return s->socket;
}

int libvirt_scratch_socket_fd(const LibvirtScratch *s)
{
    return s->socket_fd;
}

/* Whatever QEMU's user, who owns the folder, has made of its name. */
static void remove_names(const LibvirtScratch *s)
{
    for (guint i = 0; i < s->images->len; i++) {
        g_autofree char *name = image_name(i);

        (void)unlinkat(s->folder_fd, name, 0);
    }
    if (s->socket_elsewhere) {
        (void)g_unlink(s->socket);
    } else {
        (void)unlinkat(s->folder_fd, SOCKET, 0);
    }
}

bool libvirt_scratch_hide(LibvirtScratch *s, GError **error)
{
    struct stat st;

    s->socket_fd = openat(s->folder_fd,
                          s->socket_elsewhere ? s->socket : SOCKET,
                          O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (s->socket_fd < 0 || fstat(s->socket_fd, &st) < 0) {
        backup_error_set_errno(error, errno, "cannot open '%s'", s->socket);
        return false;
    }
    if (!S_ISSOCK(st.st_mode)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "'%s' is no socket", s->socket);
        return false;
    }
    remove_names(s);
    return true;
}

/* The folder */

/* Ours by its name, for this guest. */
static bool is_our_name(const char *name, const char *uuid)
{
    g_autofree char *prefix = g_strconcat(PREFIX, uuid, "-", NULL);

    return g_str_has_prefix(name, prefix);
}

/* Locked, which tells that nobody else lives in it; -1 with errno set. */
static int open_locked(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int errnum = errno;

        close(fd);
        errno = errnum;
        return -1;
    }
    return fd;
}

/* What may be in a folder of ours; whatever else is keeps it. */
static void remove_folder(const char *path, int fd)
{
    bool more = true;

    (void)unlinkat(fd, SOCKET, 0);
    for (unsigned i = 0; more; i++) {
        g_autofree char *name = image_name(i);

        more = unlinkat(fd, name, 0) == 0;
    }
    (void)g_rmdir(path);
}

/* The folders that earlier ones for this guest have left. */
static void remove_left(const char *folder, const char *uuid)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (is_our_name(name, uuid)) {
            g_autofree char *path = g_build_filename(folder, name, NULL);
            int fd = open_locked(path);

            if (fd >= 0) {
                remove_folder(path, fd);
                close(fd);
            }
        }
    }
}

LibvirtOwner libvirt_scratch_owner(const char *image, const char *uuid,
                                   const LibvirtScratch *mine)
{
    g_autofree char *path = g_path_get_dirname(image);
    g_autofree char *name = g_path_get_basename(path);
    int fd;

    if (mine && strcmp(path, mine->path) == 0) {
        return LIBVIRT_MINE;
    }
    if (!is_our_name(name, uuid)) {
        return LIBVIRT_FOREIGN;
    }
    /* A vma-dump that lives has its folder, which it removes in the end. */
    fd = open_locked(path);
    if (fd < 0) {
        return errno == ENOENT ? LIBVIRT_ABANDONED :
               errno == EWOULDBLOCK ? LIBVIRT_RUNNING : LIBVIRT_FOREIGN;
    }
    close(fd);
    return LIBVIRT_ABANDONED;
}

/* Nobody but QEMU, we and root get to what is in there. */
static bool make_folder(LibvirtScratch *s, const char *uuid, GError **error)
{
    g_autofree char *path = g_strconcat(s->folder, "/" PREFIX, uuid, "-XXXXXX",
                                        NULL);

    if (!g_mkdtemp(path)) {
        backup_error_set_errno(error, errno, "cannot create a folder for "
                               "temporary images in '%s'", s->folder);
        return false;
    }
    s->path = g_steal_pointer(&path);
    s->folder_fd = open_locked(s->path);
    if (s->folder_fd < 0) {
        backup_error_set_errno(error, errno, "cannot lock '%s'", s->path);
        return false;
    }
    return give_to_qemu(s, s->folder_fd, error);
}

static bool choose_socket(LibvirtScratch *s, const char *folder,
                          GError **error)
{
    const char *random = strrchr(s->path, '-');

    s->socket = folder ? g_strconcat(folder, "/vma-dump", random, ".nbd", NULL)
                       : g_build_filename(s->path, SOCKET, NULL);
    if (strlen(s->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        g_set_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED,
                    "the path '%s' is too long for a socket: give --fleecing "
                    "a shorter one", s->socket);
        return false;
    }
    return true;
}

LibvirtScratch *libvirt_scratch_new(const LibvirtScratchOptions *o,
                                    GError **error)
{
    g_autoptr(LibvirtScratch) s = g_new0(LibvirtScratch, 1);

    s->folder_fd = -1;
    s->socket_fd = -1;
    s->limit_bytes = o->limit_bytes;
    s->uid = o->uid;
    s->gid = o->gid;
    s->socket_elsewhere = o->socket_folder != NULL;
    s->images = g_ptr_array_new_with_free_func(g_free);
    s->fds = g_array_new(FALSE, FALSE, sizeof(int));
    s->folder = realpath(o->folder, NULL);
    if (!s->folder) {
        backup_error_set_errno(error, errno, "cannot create a temporary image "
                               "in '%s'", o->folder);
        return NULL;
    }
    remove_left(s->folder, o->uuid);
    return make_folder(s, o->uuid, error) &&
           choose_socket(s, o->socket_folder, error)
           ? g_steal_pointer(&s) : NULL;
}

/*
 * QEMU has closed them before, mostly, so that it is not QEMU that waits for the
 * file system to free what was in them.
 */
static void close_images(LibvirtScratch *s)
{
    for (guint i = 0; i < s->fds->len; i++) {
        close(g_array_index(s->fds, int, i));
    }
    g_array_free(s->fds, TRUE);
}

void libvirt_scratch_free(LibvirtScratch *s)
{
    if (s) {
        if (s->socket) {
            remove_names(s);
        }
        if (s->folder_fd >= 0) {
            remove_folder(s->path, s->folder_fd);
            close(s->folder_fd);
        }
        if (s->socket_fd >= 0) {
            close(s->socket_fd);
        }
        close_images(s);
        g_ptr_array_unref(s->images);
        free(s->folder);
        g_free(s->path);
        g_free(s->socket);
        g_free(s);
    }
}
