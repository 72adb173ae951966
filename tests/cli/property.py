#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever disks, orders and runs a stream has, its archive has their bytes.

Random streams by the simple writer of the test vectors; the archive is read by
the simple reader, and restored by vma-restore.
"""
import os
import random
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.environ.get('B', ROOT + '/build')
SINK = os.environ.get('VMA_SINK', B + '/vma-sink')
RESTORE = os.environ.get('VMA_RESTORE', B + '/vma-restore')
ROUNDS = int(os.environ.get('ROUNDS', '60'))

sys.dont_write_bytecode = True
sys.path.insert(0, ROOT + '/tests/lib')
import random_streams  # noqa: E402
import simplevma  # noqa: E402


def run_round(seed, folder):
    data, disks = random_streams.random_stream(random.Random(seed))
    archive, out = folder + '/a.vma', folder + '/out'
    subprocess.run([SINK, '-o', archive], input=data, check=True,
                   stderr=subprocess.PIPE)
    with open(archive, 'rb') as file:
        _, ctime, got, configs = simplevma.read(file.read())
    assert got == disks and ctime == 1700000000 and len(configs['conf']) == 9
    for command in (['verify', archive], ['extract', archive, out]):
        subprocess.run([RESTORE, *command], check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for name, disk in disks.items():
        with open(f'{out}/disk-{name}.raw', 'rb') as file:
            assert file.read() == disk


if __name__ == '__main__':
    random_streams.rounds(ROUNDS, run_round)
