#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks, and parts of them, that are restored alone are the same bytes, out of
any archive, and an index that leads to the wrong place is found out.

Random streams, as plain archives and compressed with any frame size.
"""
import os
import random
import struct
import sys
import tempfile

ROUNDS = int(os.environ.get('ROUNDS', '25'))

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import random_streams  # noqa: E402
import seekable  # noqa: E402
from programs import (DAMAGED, RESTORE, output_of, read,  # noqa: E402
                      restore, store, write)


def extract(*arguments):
    return output_of(RESTORE, 'extract', *arguments)


def check_archive(rng, archive, disks, folder):
    names = rng.sample(sorted(disks), rng.randrange(1, len(disks) + 1))
    extract('-f', '-T', rng.choice('123'),
            *(f'--disk={name}={folder}/{name}' for name in names), archive)
    for name in names:
        assert read(f'{folder}/{name}') == disks[name]
        assert extract('-d', name + '=-', archive) == disks[name]
        if disks[name]:
            start = rng.randrange(len(disks[name]))
            end = rng.randrange(start, len(disks[name])) + 1
            assert extract('-d', name + '=-', '--range',
                           f'{start}:{end - start}',
                           archive) == disks[name][start:end]


def run_round(seed, folder):
    rng = random.Random(seed)
    stream, disks = random_streams.random_stream(rng)
    plain, compressed = folder + '/a.vma', folder + '/a.vma.zst'
    write(plain, store(stream))
    write(compressed, store(stream, '--compress=zstd', '--frame-size',
                            rng.choice(('1', '100K', '1M', '8M'))))
    check_archive(rng, plain, disks, folder)
    check_archive(rng, compressed, disks, folder)


def two_disks():
    """Both of six extents of random data, that look alike."""
    rng = random.Random(1)
    data = {i: rng.randbytes(6 * 58 << 16) for i in (1, 2)}
    s = random_streams.stream
    clusters = 6 * 58
    out = [s.preamble([s.device(i, f'disk-{i}', len(d))
                       for i, d in data.items()], [])]
    for i, d in data.items():
        out += [s.record(s.DATA, i, n, 58, d[n << 16:(n + 58) << 16])
                for n in range(0, clusters, 58)]
    out += [s.device_end(i, clusters, 0) for i in data]
    out.append(s.end(14, 2 * clusters, 0, 2 * clusters << 16))
    return b''.join(out)


def swap_frames(data, first, second):
    """The file, the index of which has the frames of two runs exchanged."""
    frames = seekable.read_table(data)
    start = frames[-1].offset + 8
    index = bytearray(data[start:frames[-1].offset + frames[-1].size - 16])
    at = [88 + 24 * i + 8 for i in (first, second)]
    one, two = (struct.unpack_from('<I', index, i)[0] for i in at)
    assert one != two
    struct.pack_into('<I', index, at[0], two)
    struct.pack_into('<I', index, at[1], one)
    index += seekable.xxh3_128(bytes(index))
    return data[:start] + bytes(index) + data[start + len(index):]


def check_wrong_index(folder):
    archive, target = folder + '/a.vma.zst', folder + '/disk'
    write(archive, swap_frames(store(two_disks(), '--compress=zstd'), 0, 1))
    extract('-d', 'disk-2=' + target, archive)
    os.remove(target)
    for where in (target, '-'):
        result = restore('extract', '-d', 'disk-1=' + where, archive)
        assert result.returncode == DAMAGED, result
        assert not result.stdout and b'nothing was restored' in result.stderr
        assert not os.path.exists(target)


def main():
    with tempfile.TemporaryDirectory() as folder:
        check_wrong_index(folder)
    random_streams.rounds(ROUNDS, run_round)


if __name__ == '__main__':
    main()
