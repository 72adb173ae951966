#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
vma-restore needs no more memory for a disk of 128 GiB than for a small one.
"""
import os
import resource
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
import mkvma  # noqa: E402
from mkvma import CLUSTER, Entry  # noqa: E402

RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')
CLUSTERS = 2 << 20
DATA_CLUSTERS = 1000
LIMIT_KIB = 32 << 10


def main():
    data = b'x' * CLUSTER
    if b'libasan' in subprocess.run(['ldd', RESTORE], check=False,
                                    stdout=subprocess.PIPE).stdout:
        print('a sanitizer takes memory of its own')
        sys.exit(77)
    with subprocess.Popen([RESTORE, 'verify', '-'], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as process:
        process.stdin.write(mkvma.header([(1, b'a', CLUSTERS * CLUSTER)]))
        for first in range(0, CLUSTERS, 59):
            process.stdin.write(mkvma.extent(
                [Entry(1, i, 0xffff, data) if i < DATA_CLUSTERS
                 else Entry(1, i, 0, b'')
                 for i in range(first, min(first + 59, CLUSTERS))]))
        process.stdin.close()
    if process.returncode != 0:
        sys.exit(f'exit code {process.returncode}')
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f'{used} KiB')
    if used > LIMIT_KIB:
        sys.exit(f'more than {LIMIT_KIB} KiB')


if __name__ == '__main__':
    main()
