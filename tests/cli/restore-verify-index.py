#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""verify sees each damaged byte of a compressed archive's index and seek table.

The last four bytes of the file say that there is a table: where one of them is
wrong, or all behind the archive is missing, the disks are whole, and a line
tells that the table is not there.
"""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import seekable  # noqa: E402
from programs import (DAMAGED, archive_of, flip, output_of,  # noqa: E402
                      read, restore, write)



def verify(path, data):
    """The exit code, and whether there is the line on the table."""
    write(path, data)
    done = restore('verify', path)
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
        data = archive_of(['disk=image'], '--compress=zstd', '--frame-size=1')
        expect((0, False), verify('x.zst', data), 'the whole archive')
        start = seekable.read_table(data)[-1].offset
        for at in range(start, len(data)):
            # (Two bits of the table's descriptor mean nothing.)
            bad = flip(data, at, 2 if at == len(data) - 5 else at % 8)
            expect((0, True) if at >= len(data) - 4 else (DAMAGED, False),
                   verify('x.zst', bad), f'byte {at} of {len(data)}')
        # (R7) A damaged index is not needed.
        write('x.zst', flip(data, start + 40))
        image = read('image')
        for arguments, wanted in (['x.zst', 'restored'], b''), \
                (['-d', 'disk=-', 'x.zst'], image):
            done = restore('extract', *arguments)
            expect(0, done.returncode, f'extract {arguments}')
            expect(True, done.stdout == wanted, 'bytes of a disk')
        expect((0, True), verify('x.zst', data[:start]), 'without an index')
        plain = output_of('zstd', '-dcq', data=data)
        one = output_of('zstd', '-cq', data=plain)
        expect((0, False), verify('x.zst', one), 'made by zstd')
        expect((0, False), verify('x.vma', plain), 'not compressed')


if __name__ == '__main__':
    main()
