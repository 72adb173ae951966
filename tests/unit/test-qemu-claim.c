/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names of what vma-dump makes in a QEMU.
 */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "source/qemu-claim.h"
#include "wire/format.h"

/* QEMU's limit for the name of a node. */
#define NODE_NAME_MAX_BYTES 31

static const QemuKind kinds[] = {
    QEMU_EXPORT, QEMU_SNAPSHOT, QEMU_JOB, QEMU_FILTER, QEMU_GUARD, QEMU_NULL,
    QEMU_IMAGE, QEMU_LIMIT, QEMU_FILE, QEMU_SERVER,
};

/* A claim on the monitor whose socket is a new file. */
static QemuClaim *new_claim(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp(NULL, &path, NULL);
    QemuClaim *claim = qemu_claim_new(NULL, path, NULL);

    g_assert_nonnull(claim);
    close(fd);
    g_unlink(path);
    return claim;
}

static void test_names_fit(void)
{
    g_autoptr(QemuClaim) claim = new_claim();

    for (unsigned i = 0; i < WIRE_DEVICES_MAX; i++) {
        for (unsigned k = 0; k < G_N_ELEMENTS(kinds); k++) {
            g_autofree char *name = qemu_claim_name(claim, kinds[k], i);

            g_assert_cmpuint(strlen(name), <=, NODE_NAME_MAX_BYTES);
        }
    }
}

static void test_names_are_told_apart(void)
{
    g_autoptr(QemuClaim) claim = new_claim();
    g_autofree char *name = qemu_claim_name(claim, QEMU_JOB, 253);
    g_autofree char *longer = g_strconcat(name, "0", NULL);
    unsigned index;

    for (unsigned k = 0; k < G_N_ELEMENTS(kinds); k++) {
        index = 0;
        g_assert(qemu_claim_index(claim, kinds[k], name, &index) ==
                 (kinds[k] == QEMU_JOB));
        g_assert_cmpuint(index, ==, kinds[k] == QEMU_JOB ? 253 : 0);
    }
    g_assert_false(qemu_claim_index(claim, QEMU_JOB, longer, &index));
    g_assert_false(qemu_claim_index(claim, QEMU_JOB, NULL, &index));
    g_assert_false(qemu_claim_index(claim, QEMU_JOB, "", &index));
}

static void test_names_of_another_run(void)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp(NULL, &path, NULL);
    unsigned index, same = 0;

    for (unsigned i = 0; i < 4; i++) {
        g_autoptr(QemuClaim) one = qemu_claim_new(NULL, path, NULL);
        g_autoptr(QemuClaim) other = qemu_claim_new(NULL, path, NULL);
        g_autofree char *name = qemu_claim_name(one, QEMU_IMAGE, 1);

        g_assert_true(qemu_claim_index(one, QEMU_IMAGE, name, &index));
        g_assert_cmpstr(qemu_claim_mark(one), ==, qemu_claim_mark(other));
        same += qemu_claim_index(other, QEMU_IMAGE, name, &index);
    }
    g_assert_cmpuint(same, <, 4);
    close(fd);
    g_unlink(path);
}

static void test_no_socket(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(qemu_claim_new(NULL, "/missing/socket", &error));
    g_assert_nonnull(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qemu-claim/names-fit-into-those-of-nodes", test_names_fit);
    g_test_add_func("/qemu-claim/names-are-told-apart",
                    test_names_are_told_apart);
    g_test_add_func("/qemu-claim/another-run-has-other-names",
                    test_names_of_another_run);
    g_test_add_func("/qemu-claim/no-socket-is-error", test_no_socket);
    return g_test_run();
}
