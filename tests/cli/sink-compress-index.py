#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a compressed archive leads to the bytes of every cluster.

Random streams, frame sizes and numbers of threads; the archive is read by the
simple reader of the specification, by way of the index alone, and by zstd.
"""
import os
import random
import sys

ROUNDS = int(os.environ.get('ROUNDS', '25'))

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import random_streams  # noqa: E402
import seekable  # noqa: E402
from programs import store  # noqa: E402


def run_round(seed, _):
    rng = random.Random(seed)
    stream, disks = random_streams.random_stream(rng)
    size = rng.choice(('1', '100K', '1M', '8M'))
    plain = store(stream)
    data = store(stream, '--compress=zstd', '--frame-size', size, '-T',
                 rng.choice('123'))
    by_id = {int(name[5:]): disk for name, disk in disks.items()}
    got, index, frames = seekable.read_disks(
        data, {device: len(disk) for device, disk in by_id.items()})
    assert got == by_id
    assert index.uuid == plain[8:24] and index.total == len(plain)
    # The first frame is the header, and every other begins with an extent.
    header = seekable.read_frame(data, frames[0])
    assert plain.startswith(header)
    assert len(plain) == (len(header) + 512 * index.extents +
                          4096 * index.blocks)
    offset = len(header)
    for frame in frames[1:]:
        assert plain[offset:offset + 4] == b'VMAE'
        offset += frame.content_size
    assert seekable.decompress(data) == plain


if __name__ == '__main__':
    random_streams.rounds(ROUNDS, run_round)
