#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""However much a compressed archive claims to hold, vma-restore takes memory
for what is there, and for large frames at the most one.
"""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import mkvma  # noqa: E402
import seekable  # noqa: E402

RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')
DAMAGED, INCOMPLETE = 3, 4
SMALL_KIB = 40 << 10
# A frame of the largest size, or, in their order, less.
LARGE_KIB = SMALL_KIB + (256 << 10)
HEADER = mkvma.header([(1, b'a', 1 << 40)])


def compress(data):
    return subprocess.run(['zstd', '-qc'], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def frame(magic, content, size=None):
    return struct.pack('<II', magic, len(content) if size is None else size
                       ) + content


def table(entries, count=None):
    content = b''.join(struct.pack('<II', *e) for e in entries)
    return frame(0x184d2a5e, content + struct.pack(
        '<IBI', len(entries) if count is None else count, 0, 0x8f92eab1))


def index(runs, size=None, count=None):
    content = struct.pack('<8sII16sQQQQII16s', b'VMA+SEEK', 1, 0, mkvma.UUID,
                          len(HEADER), 0, runs, 0, 1,
                          runs if count is None else count, bytes(16))
    content += bytes(24 * runs)
    return frame(0x184d2a5d, content + seekable.xxh3_128(content), size)


def archive(first, *more, entries=(), count=None):
    """Frames of what they say they hold, and a table."""
    sizes = [(len(first), len(HEADER))]
    sizes += entries or [(len(data), 0) for data in more]
    return first + b''.join(more) + table(sizes, count)


# Name, bytes and where the memory may be more than a little.
def cases():
    head = compress(HEADER)
    zeroes = compress(bytes(64 << 20))
    largest = compress(bytes(256 << 20))
    yield 'a table of many frames', archive(head, count=0x7ffffff), SMALL_KIB
    yield 'a table of too many', archive(head, count=0xffffffff), SMALL_KIB
    yield 'a large frame', archive(head, zeroes, entries=[
        (len(zeroes), 0xffffffff)]), SMALL_KIB
    yield 'a frame larger than there are bytes', archive(
        head, zeroes, entries=[(0xfffffff0, 1)]), SMALL_KIB
    small = compress(b'x')
    yield 'frames that hold less', archive(
        head, *[small] * 1000,
        entries=[(len(small), len(small) * 32768)] * 1000), SMALL_KIB
    yield 'a large index', archive(head, index(0, size=0xfffffff0)), SMALL_KIB
    yield 'an index of many runs', archive(
        head, index(0, count=0xffffffff)), SMALL_KIB
    yield 'frames of zeroes', archive(head, *[zeroes] * 20, entries=[
        (len(zeroes), 64 << 20)] * 20), SMALL_KIB + (64 << 10)
    yield 'the largest frames', archive(head, *[largest] * 3, entries=[
        (len(largest), 256 << 20)] * 3), LARGE_KIB


def peak_kib(command):
    """Of a command, and its exit code."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        message = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss, process.returncode, message


def main():
    if b'libasan' in subprocess.run(['ldd', RESTORE], check=False,
                                    stdout=subprocess.PIPE).stdout:
        print('a sanitizer takes memory of its own')
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/x.zst'
        for name, data, limit in cases():
            with open(path, 'wb') as file:
                file.write(data)
            for arguments in (['verify', path],
                              ['extract', '-d', 'a=-', path],
                              ['extract', '-f', path, folder + '/out'],
                              ['extract', '-f', '--salvage', path,
                               folder + '/out']):
                used, code, message = peak_kib([RESTORE, *arguments])
                print(name, arguments[:-1], code, used, message[:100])
                if code not in (DAMAGED, INCOMPLETE) or used > limit:
                    sys.exit(f'{name}: {arguments}: exit code {code}, '
                             f'{used} KiB: {message}')


if __name__ == '__main__':
    main()
