#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""verify sees each damaged byte of a compressed archive's index and seek table.

The last four bytes of the file say that there is a table: where one of them is
wrong, or all behind the archive is missing, the disks are whole, and a line
tells that the table is not there.
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, ROOT + '/tests/lib')
sys.dont_write_bytecode = True
import seekable  # noqa: E402

B = os.environ.get('B', ROOT + '/build')
SINK = os.environ.get('VMA_SINK', B + '/vma-sink')
DUMP = os.environ.get('VMA_DUMP', B + '/vma-dump')
RESTORE = os.environ.get('VMA_RESTORE', B + '/vma-restore')
DAMAGED = 3


def verify(path, data):
    """The exit code, and whether there is the line on the table."""
    with open(path, 'wb') as file:
        file.write(data)
    done = subprocess.run([RESTORE, 'verify', path], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, b'no seek table' in done.stdout


def expect(wanted, got, what):
    if got != wanted:
        sys.exit(f'{what}: {got}, not {wanted}')


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open('image', 'wb') as image:
            image.write(os.urandom(200000))
            image.truncate(10 << 20)
        stream = subprocess.run([DUMP, 'disk=image'], check=True,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE).stdout
        subprocess.run([SINK, '--frame-size', '1', '-o', 'a.zst'],
                       input=stream, check=True, stderr=subprocess.PIPE)
        with open('a.zst', 'rb') as file:
            data = file.read()
        expect((0, False), verify('x.zst', data), 'the whole archive')
        start = seekable.read_table(data)[-1].offset
        for at in range(start, len(data)):
            # (Two bits of the table's descriptor mean nothing.)
            flip = 4 if at == len(data) - 5 else 1 << at % 8
            bad = bytearray(data)
            bad[at] ^= flip
            expect((0, True) if at >= len(data) - 4 else (DAMAGED, False),
                   verify('x.zst', bad), f'byte {at} of {len(data)}')
        # (R7) A damaged index is not needed.
        bad = bytearray(data)
        bad[start + 40] ^= 1
        with open('x.zst', 'wb') as file:
            file.write(bad)
        with open('image', 'rb') as file:
            image = file.read()
        for arguments, wanted in (['x.zst', 'restored'], b''), \
                (['-d', 'disk=-', 'x.zst'], image):
            done = subprocess.run([RESTORE, 'extract', *arguments],
                                  check=False, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
            expect(0, done.returncode, f'extract {arguments}')
            expect(True, done.stdout == wanted, 'bytes of a disk')
        expect((0, True), verify('x.zst', data[:start]), 'without an index')
        plain = subprocess.run(['zstd', '-dcq'], input=data, check=True,
                               stdout=subprocess.PIPE).stdout
        one = subprocess.run(['zstd', '-cq'], input=plain, check=True,
                             stdout=subprocess.PIPE).stdout
        expect((0, False), verify('x.zst', one), 'made by zstd')
        expect((0, False), verify('x.vma', plain), 'not compressed')


if __name__ == '__main__':
    main()
