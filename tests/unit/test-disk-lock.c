/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks on disks: ours against each other's, and against those of a real QEMU's
 * block layer, both ways round.
 */
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>

#include "io/disk-lock.h"
#include "util.h"

#define BYTES (1 << 20)

typedef struct Image {
    char *folder;
    char *path;
    int fd;
} Image;

static int open_image(const Image *image)
{
    int fd = open(image->path, O_RDWR | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static void set_up(Image *image, gconstpointer data)
{
    (void)data;
    image->folder = make_folder();
    image->path = g_build_filename(image->folder, "image", NULL);
    g_assert_true(g_file_set_contents(image->path, "", 0, NULL));
    g_assert_cmpint(truncate(image->path, BYTES), ==, 0);
    image->fd = open_image(image);
}

static void tear_down(Image *image, gconstpointer data)
{
    (void)data;
    close(image->fd);
    g_assert_cmpint(remove_folder(image->folder), ==, 1);
    g_free(image->path);
    g_free(image->folder);
}

static void assert_free(int fd)
{
    g_assert_true(io_disk_check_unused(fd, NULL));
    g_assert_true(io_disk_lock_write(fd, NULL));
    g_assert_true(io_disk_check_unused(fd, NULL));
}

static void assert_writer_refused(int fd)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(io_disk_lock_write(fd, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "in use"));
}

static void assert_reader_refused(int fd)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(io_disk_check_unused(fd, &error));
    assert_kind(error, BACKUP_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "in use for writing"));
}

static void test_two_of_us(Image *image, gconstpointer data)
{
    int other = open_image(image);

    (void)data;
    assert_free(image->fd);
    assert_writer_refused(other);
    assert_reader_refused(other);
    close(image->fd);
    image->fd = open_image(image);
    close(other);
    assert_free(image->fd);
}

/* One that takes its commands from a pipe, with the image open; NULL: none. */
static GSubprocess *start_qemu_io(const Image *image, const char *option)
{
    g_autofree char *program = g_find_program_in_path("qemu-io");
    g_autoptr(GSubprocess) qemu = NULL;
    char byte;

    if (!program) {
        g_test_skip("there is no qemu-io");
        return NULL;
    }
    qemu = g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE |
                            G_SUBPROCESS_FLAGS_STDOUT_PIPE, NULL, program,
                            "-f", "raw", image->path, option, NULL);
    g_assert_nonnull(qemu);
    /* It asks for the first command when it has the image. */
    g_assert_cmpint(g_input_stream_read(g_subprocess_get_stdout_pipe(qemu),
                                        &byte, 1, NULL, NULL), ==, 1);
    return g_steal_pointer(&qemu);
}

static void stop_qemu_io(GSubprocess *qemu)
{
    g_assert_true(g_output_stream_close(g_subprocess_get_stdin_pipe(qemu),
                                        NULL, NULL));
    g_assert_true(g_subprocess_wait(qemu, NULL, NULL));
}

static void test_qemu_writes(Image *image, gconstpointer data)
{
    g_autoptr(GSubprocess) qemu = start_qemu_io(image, NULL);

    (void)data;
    if (qemu) {
        assert_writer_refused(image->fd);
        assert_reader_refused(image->fd);
        stop_qemu_io(qemu);
        close(image->fd);
        image->fd = open_image(image);
        assert_free(image->fd);
    }
}

static void test_qemu_reads(Image *image, gconstpointer data)
{
    g_autoptr(GSubprocess) qemu = start_qemu_io(image, "-r");

    (void)data;
    if (qemu) {
        g_assert_true(io_disk_check_unused(image->fd, NULL));
        assert_writer_refused(image->fd);
        stop_qemu_io(qemu);
    }
}

/* Whether a QEMU can read from the image. */
static bool qemu_can_read(const Image *image, const char *program)
{
    const char *argv[] = {
        program, "-f", "raw", "-r", "-c", "read 0 512", image->path, NULL
    };
    g_autoptr(GSubprocess) qemu =
        g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                          G_SUBPROCESS_FLAGS_STDERR_SILENCE, NULL);

    g_assert_nonnull(qemu);
    return g_subprocess_wait_check(qemu, NULL, NULL);
}

static void test_qemu_is_refused(Image *image, gconstpointer data)
{
    g_autofree char *program = g_find_program_in_path("qemu-io");

    (void)data;
    if (!program) {
        g_test_skip("there is no qemu-io");
        return;
    }
    g_assert_true(qemu_can_read(image, program));
    g_assert_true(io_disk_lock_write(image->fd, NULL));
    g_assert_false(qemu_can_read(image, program));
    close(image->fd);
    image->fd = open_image(image);
    g_assert_true(qemu_can_read(image, program));
}

/* Where nothing is known nothing is refused. */
static void test_no_locks(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    g_assert_true(io_disk_lock_write(fd, NULL));
    g_assert_true(io_disk_check_unused(fd, NULL));
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/disk-lock/two-of-us", Image, NULL, set_up, test_two_of_us,
               tear_down);
    g_test_add("/disk-lock/qemu-writes", Image, NULL, set_up, test_qemu_writes,
               tear_down);
    g_test_add("/disk-lock/qemu-reads", Image, NULL, set_up, test_qemu_reads,
               tear_down);
    g_test_add("/disk-lock/qemu-is-refused", Image, NULL, set_up,
               test_qemu_is_refused, tear_down);
    g_test_add_func("/disk-lock/no-locks", test_no_locks);
    return g_test_run();
}
