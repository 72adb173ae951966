#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An index that lies, under a right hash, never gives wrong data.

Reading from front to back does not ask it, through it a disk is right or an
error, and verify compares it with every extent.  Only that all of an extent's
clusters are zeroes can't be seen without that.
"""
import os
import random
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import mkvma  # noqa: E402
import seekable  # noqa: E402
from programs import (DAMAGED, archive_of, read, restore,  # noqa: E402
                      write)
from seekable import Run  # noqa: E402

NAMES = {1: 'a', 2: 'b'}
RUN = '<IIIIHHBBH'


def make_disk(seed):
    """Clusters of few kinds, so that others' places look right."""
    rng = random.Random(seed)
    out = bytearray()
    for _ in range(150):
        cluster = bytearray(65536)
        for block in rng.choice(((), (0,), (0,), (0, 5), range(16))):
            cluster[block * 4096:block * 4096 + 20] = rng.randbytes(20)
        out += cluster
    out[-65536:-65000] = b'x' * 536
    return bytes(out)


DISKS = {1: make_disk(1), 2: make_disk(2)}


def make_archive(size):
    for device, disk in DISKS.items():
        write(NAMES[device], disk)
    return archive_of(['a=a', 'b=b'], '--compress=zstd', '--frame-size', size)


def with_runs(data, runs, uuid=None):
    """The archive with another index, with the right sums and hashes."""
    frames, index = seekable.read_index(data)
    assert len(runs) == len(index.runs)
    blocks = sum((r.last - r.first + 1) * bin(r.mask).count('1') for r in runs)
    end = frames[-1].offset + frames[-1].size + 8
    content = bytearray(data[end:end + 88 + 24 * len(runs)])
    extents = index.extents + 8 * (index.blocks - blocks)
    struct.pack_into('<QQQQ', content, 32, index.total, extents,
                     index.clusters, blocks)
    content[16:32] = uuid or index.uuid
    for i, run in enumerate(runs):
        struct.pack_into(RUN, content, 88 + 24 * i, *run, 0)
    content += seekable.xxh3_128(bytes(content))
    return data[:end] + bytes(content) + data[end + len(content):]


def place(run, other):
    """The same clusters in the other's place."""
    return run._replace(frame=other.frame, extent=other.extent,
                        block=other.block, slot=other.slot)


def zeroed(run):
    return Run(run.first, run.last, 0, 0, 0, 0, run.device, 0)


def replaced(runs, changes):
    return [changes.get(run, run) for run in runs]


def find(runs, condition):
    return next(r for r in runs if condition(r))


# Name, runs, and whether nothing but verify can see it.
def lies(runs):
    stored = [r for r in runs if r.mask]
    a = find(stored, lambda r: r.mask == 1 and r.last == r.first)
    other_extent = find(stored, lambda r: r.mask == 1 and r.last == r.first and
                        (r.frame, r.extent) != (a.frame, a.extent))
    same_extent = find(stored, lambda r: r.mask == 1 and r.last == r.first and
                       r != a and (r.frame, r.extent) == (a.frame, a.extent))
    other_disk = find(stored, lambda r: r.mask == 1 and r.last == r.first and
                      r.device == 2)
    # The last extent is not full, so all of its slots can be moved.
    other = max(stored, key=lambda r: (r.frame, r.extent))
    two = find(stored, lambda r: r.mask == 0x21 and r.last == r.first)
    none = find(runs, lambda r: r.mask == 0 and r.last == r.first)
    for name, b in (('another extent', other_extent),
                    ('the same extent', same_extent),
                    ('another disk', other_disk)):
        yield 'the place of one in ' + name, replaced(
            runs, {a: place(a, b)}), False
        yield 'places swapped with one in ' + name, replaced(
            runs, {a: place(a, b), b: place(b, a)}), False
    yield 'no extent there', replaced(
        runs, {a: a._replace(extent=a.extent + 512)}), False
    yield 'another block', replaced(
        runs, {same_extent: same_extent._replace(
            block=same_extent.block + 1)}), False
    yield 'another slot', replaced(
        runs, {same_extent: same_extent._replace(
            slot=same_extent.slot + 1)}), False
    yield 'all slots of an extent', [
        r._replace(slot=r.slot + 1)
        if r.mask and (r.frame, r.extent) == (other.frame, other.extent)
        else r for r in runs], False
    yield 'fewer blocks', replaced(runs, {two: two._replace(mask=1)}), False
    yield 'other blocks', replaced(runs, {two: two._replace(mask=3)}), False
    yield 'more blocks', replaced(
        runs, {a: a._replace(mask=3), two: two._replace(mask=1)}), False
    yield 'zeroes', replaced(runs, {a: zeroed(a)}), False
    yield 'data', replaced(runs, {none: place(none, a)._replace(
        mask=a.mask), a: zeroed(a)}), False
    yield 'all zeroes', [zeroed(r) for r in runs], True
    yield 'an extent of zeroes', [
        zeroed(r) if (r.frame, r.extent) == (a.frame, a.extent) else r
        for r in runs], True


def check(name, data, unseen=False):
    write('x.zst', data)
    result = restore('verify', 'x.zst')
    assert result.returncode == DAMAGED, (name, result)
    assert b'index' in result.stderr and b'lost:' not in result.stdout, (
        name, result)
    result = restore('extract', '-f', 'x.zst', 'out')
    assert result.returncode == 0, (name, result)
    codes, noted = [], False
    for device, disk in DISKS.items():
        assert read(f'out/disk-{NAMES[device]}.raw') == disk, name
        result = restore('extract', '-d', NAMES[device] + '=-', 'x.zst')
        codes.append(result.returncode)
        # What can be seen at once: then all extents are looked for.
        noted = noted or b'looked for' in result.stderr
        if not unseen:
            assert result.returncode in (0, DAMAGED), (name, result)
            assert disk.startswith(result.stdout), (name, 'wrong data')
            assert result.returncode or result.stdout == disk, name
    assert unseen or noted or DAMAGED in codes, (name, codes)


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        count = 0
        for size in ('1', '1M'):
            data = make_archive(size)
            runs = seekable.read_index(data)[1].runs
            assert with_runs(data, runs) == data
            write('x.zst', data)
            assert restore('verify', 'x.zst').returncode == 0
            for device, disk in DISKS.items():
                assert restore('extract', '-d', NAMES[device] + '=-',
                           'x.zst').stdout == disk
            for name, lying, unseen in lies(runs):
                check(f'{name} ({size})', with_runs(data, lying), unseen)
                count += 1
            check('of another archive', with_runs(data, runs, mkvma.UUID))
            other = make_archive(size)
            start = data.index(b'VMA+SEEK')
            assert other.index(b'VMA+SEEK') and len(other) > start
            check('the bytes of another archive\'s', data[:start] +
                  other[other.index(b'VMA+SEEK'):][:len(data) - start]
                  [:88 + 24 * len(runs) + 16] +
                  data[start + 88 + 24 * len(runs) + 16:])
        print(f'{count} lies')


if __name__ == '__main__':
    main()
