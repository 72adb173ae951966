# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a program within limits, and tells what it took."""
import os
import resource
import subprocess
import sys
import tempfile
from collections import namedtuple

# A sanitizer's own exit code must not look like one of ours.
os.environ.setdefault('ASAN_OPTIONS', 'exitcode=99')
# Of a program that hangs, no more.
SECONDS = 200
KEPT_BYTES = 1 << 20            # of what it prints
Result = namedtuple('Result', 'code out err kib')


def is_sanitized(program):
    """A sanitizer takes memory, and addresses, of its own."""
    return b'libasan' in subprocess.run(['ldd', program], check=False,
                                        stdout=subprocess.PIPE).stdout


def run(command, *, stdin=None, file_bytes=None, memory_bytes=None):
    """
    STDIN is the path of a file.  FILE_BYTES is how large a file may become,
    but for standard output; MEMORY_BYTES how many addresses there are.
    """
    def limit():
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        if memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS,
                               (memory_bytes, memory_bytes))

    with open(stdin or os.devnull, 'rb') as source, \
            tempfile.TemporaryFile() as err, \
            subprocess.Popen(['timeout', str(SECONDS), *command],
                             stdin=source, stdout=subprocess.PIPE, stderr=err,
                             preexec_fn=limit) as process:
        out = process.stdout.read(KEPT_BYTES)
        while process.stdout.read(KEPT_BYTES):
            pass
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return Result(process.returncode, out, err.read(KEPT_BYTES),
                      usage.ru_maxrss)


def check_sparse(image, image_bytes):
    """Ends the test unless it has this size, and takes next to nothing."""
    st = os.lstat(image)
    if st.st_size != image_bytes:
        sys.exit('the image is not as large as the disk')
    if st.st_blocks * 512 > 1 << 20:
        sys.exit('the image is not sparse')


def folder_for_large_files():
    """A temporary folder that can have sparse files of 256 TiB, if any can."""
    for parent in (None, '/dev/shm'):
        folder = tempfile.TemporaryDirectory(dir=parent)
        try:
            path = os.path.join(folder.name, 'x')
            with open(path, 'wb') as file:
                file.truncate(1 << 48)
            os.unlink(path)
            return folder
        except OSError:
            os.unlink(path)
            folder.cleanup()
    return None
