/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quotas: several files of a folder never have more together than the folder
 * may have, though none has written anything when the next one asks; all of it
 * can be used, and what a file does not need any more is for others.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "io/quota.h"
#include "util.h"

#define MIB ((uint64_t)1 << 20)
#define LIMIT (40 * MIB)
#define FILES 6

typedef struct Folder {
    char *path;
    int fd;
    IoQuota quotas[FILES];
} Folder;

static void set_up(Folder *f, gconstpointer data)
{
    (void)data;
    f->path = make_folder();
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY);
    g_assert_cmpint(f->fd, >=, 0);
    for (int i = 0; i < FILES; i++) {
        g_autofree char *path = g_strdup_printf("%s/%d.abcdef.partial",
                                                f->path, i);

        f->quotas[i] = (IoQuota) {
            .file_bytes = UINT64_MAX,
            .folder_bytes = LIMIT,
            .folder_fd = f->fd,
            .file_fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600),
        };
        g_assert_cmpint(f->quotas[i].file_fd, >=, 0);
    }
}

static void tear_down(Folder *f, gconstpointer data)
{
    (void)data;
    for (int i = 0; i < FILES; i++) {
        close(f->quotas[i].file_fd);
    }
    close(f->fd);
    remove_folder(f->path);
    g_free(f->path);
}

static void take(IoQuota *q, uint64_t bytes)
{
    g_autoptr(GError) error = NULL;

    io_quota_take(q, bytes, &error);
    g_assert_no_error(error);
}

static void take_too_much(IoQuota *q, uint64_t bytes)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(io_quota_take(q, bytes, &error));
    g_assert_error(error, BACKUP_ERROR, BACKUP_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "its folder would have more than"));
}

static void test_all_is_used(Folder *f, gconstpointer data)
{
    IoQuota *q = &f->quotas[0];

    (void)data;
    while (q->taken_bytes + 700001 <= LIMIT) {
        take(q, 700001);
    }
    take(q, LIMIT - q->taken_bytes);
    take_too_much(q, 1);
}

static void test_unwritten_counts(Folder *f, gconstpointer data)
{
    (void)data;
    take(&f->quotas[0], 10 * MIB);
    take(&f->quotas[1], 20 * MIB);
    take_too_much(&f->quotas[2], 10 * MIB + 1);
    take(&f->quotas[2], 10 * MIB);
    take_too_much(&f->quotas[3], 1);
}

static void test_given_back(Folder *f, gconstpointer data)
{
    IoQuota *q = &f->quotas[0];

    (void)data;
    take(q, MIB);
    take(q, MIB);
    g_assert_cmpuint(q->granted_bytes, >, q->taken_bytes);
    take_too_much(&f->quotas[1], LIMIT - 2 * MIB);
    io_quota_give_back(q);
    take(&f->quotas[1], LIMIT - 2 * MIB);
    take_too_much(q, 1);
}

/* As that of a process that is killed. */
static void test_goes_with_descriptor(Folder *f, gconstpointer data)
{
    (void)data;
    take(&f->quotas[0], LIMIT);
    take_too_much(&f->quotas[1], 1);
    g_assert_cmpint(ftruncate(f->quotas[0].file_fd, 3), ==, 0);
    close(f->quotas[0].file_fd);
    f->quotas[0].file_fd = open(f->path, O_RDONLY | O_DIRECTORY);
    take_too_much(&f->quotas[1], LIMIT - 2);
    take(&f->quotas[1], LIMIT - 3);
}

static void test_folder_is_locked(Folder *f, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(flock(f->fd, LOCK_EX), ==, 0);
    g_assert_cmpint(io_quota_lock(&f->quotas[0]), ==, -1);
    take(&f->quotas[0], LIMIT / 2);
    take_too_much(&f->quotas[1], LIMIT / 2 + 1);
}

static gpointer take_all(gpointer opaque)
{
    IoQuota *q = opaque;

    while (io_quota_take(q, 100000, NULL)) {
    }
    return NULL;
}

static void test_at_a_time(Folder *f, gconstpointer data)
{
    GThread *threads[FILES];
    uint64_t taken = 0;

    (void)data;
    for (int i = 0; i < FILES; i++) {
        threads[i] = g_thread_new(NULL, take_all, &f->quotas[i]);
    }
    for (int i = 0; i < FILES; i++) {
        g_thread_join(threads[i]);
        taken += f->quotas[i].taken_bytes;
    }
    g_assert_cmpuint(taken, <=, LIMIT);
    /* Nobody is refused what nobody has, but for the steps of the others. */
    g_assert_cmpuint(taken, >, LIMIT / 5);
}

static void add(const char *path, void (*test)(Folder *, gconstpointer))
{
    g_test_add(path, Folder, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("/quota/all-of-it-can-be-used", test_all_is_used);
    add("/quota/what-is-not-yet-written-counts", test_unwritten_counts);
    add("/quota/what-is-given-back-is-for-others", test_given_back);
    add("/quota/goes-with-the-descriptor", test_goes_with_descriptor);
    add("/quota/lock-of-another-on-the-folder", test_folder_is_locked);
    add("/quota/holds-for-many-at-a-time", test_at_a_time);
    return g_test_run();
}
