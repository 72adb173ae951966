#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever disks, orders and runs a stream has, its archive has their bytes.

Random streams by the simple writer of the test vectors; the archive is read by
the simple reader, and restored by vma-restore.
"""
import os
import random
import sys

ROUNDS = int(os.environ.get('ROUNDS', '60'))

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import random_streams  # noqa: E402
import simplevma  # noqa: E402
from programs import RESTORE, SINK, output_of, read  # noqa: E402


def run_round(seed, folder):
    data, disks = random_streams.random_stream(random.Random(seed))
    archive, out = folder + '/a.vma', folder + '/out'
    output_of(SINK, '-o', archive, data=data)
    _, ctime, got, configs = simplevma.read(read(archive))
    assert got == disks and ctime == 1700000000 and len(configs['conf']) == 9
    for command in (['verify', archive], ['extract', archive, out]):
        output_of(RESTORE, *command)
    for name, disk in disks.items():
        assert read(f'{out}/disk-{name}.raw') == disk


if __name__ == '__main__':
    random_streams.rounds(ROUNDS, run_round)
