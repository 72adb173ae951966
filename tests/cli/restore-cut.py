#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
An archive that is cut, wherever that is, never passes verify.

Every position in and around the headers of the extents and every 97th of the
rest is tried; within the data of an extent one position is like another.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
import mkvma  # noqa: E402
from mkvma import BLOCK, CLUSTER, Entry  # noqa: E402

RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')
INCOMPLETE = 4

HEADER = mkvma.header([(1, b'a', 5 * CLUSTER)], [(b'c', b'text')])
EXTENTS = [
    mkvma.extent([Entry(1, 0, 0, b''), Entry(1, 1, 7, b'x' * 3 * BLOCK)]),
    mkvma.extent([Entry(1, 2, 0x8000, b'y' * BLOCK)]),
    mkvma.extent([Entry(1, 3, 0, b''), Entry(1, 4, 0, b'')]),
]


def positions():
    """Where to cut: a set of lengths."""
    total = len(HEADER) + sum(map(len, EXTENTS))
    lengths = set(range(0, total, 97)) | set(range(70))
    offset = len(HEADER)
    for extent in EXTENTS:
        lengths |= set(range(offset - 5, min(offset + 520, total)))
        offset += len(extent)
    return sorted(lengths)


def verify(path):
    return subprocess.run([RESTORE, 'verify', path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          timeout=60)


def main():
    data = HEADER + b''.join(EXTENTS)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'x.vma')
        with open(path, 'wb') as file:
            file.write(data)
        if verify(path).returncode != 0:
            sys.exit('the whole archive does not pass')
        for length in reversed(positions()):
            os.truncate(path, length)
            result = verify(path)
            if result.returncode != INCOMPLETE:
                sys.exit(f'cut at {length} of {len(data)}: exit code '
                         f'{result.returncode}: {result.stderr.decode()}')
    print(f'{len(positions())} positions')


if __name__ == '__main__':
    main()
