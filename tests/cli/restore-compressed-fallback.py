#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the index or the seek table is damaged or missing, disks and ranges
still come out, with a note; and nothing does that is not in the archive.
"""
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import seekable  # noqa: E402
from programs import (DAMAGED, INCOMPLETE, OK, archive_of,  # noqa: E402
                      flip, write)
from programs import restore as run  # noqa: E402


def make_disk(seed):
    rng = random.Random(seed)
    disk = bytearray(130 * 65536 + 512)
    for at in rng.sample(range(0, len(disk) - 5000, 4096), 40):
        disk[at:at + 5000] = rng.randbytes(50) * 100
    return bytes(disk)


DISKS = {'a': make_disk(1), 'b': make_disk(2)}


def make_archive(*options):
    for name, disk in DISKS.items():
        write(name, disk)
    return archive_of(['a=a', 'b=b'], '--compress=zstd', *options)


def expect_all(what, noted):
    """Both ways, and the note only where something is wrong."""
    start, count = 65536 + 77, 3000000
    for name, disk in DISKS.items():
        for wanted, *more in ((disk,), (disk[start:start + count], '--range',
                                        f'{start}:{count}')):
            done = run('extract', '-d', name + '=-', *more, 'x.zst')
            assert done.returncode == OK, (what, done.returncode, done.stderr)
            assert done.stdout == wanted, (what, 'wrong data')
            assert (b'looked for' in done.stderr) == noted, (what, done.stderr)


def fails(what):
    """Whether a disk can't be read; nothing wrong is, whatever it is."""
    for name, disk in DISKS.items():
        done = run('extract', '-d', name + '=-', 'x.zst')
        assert disk.startswith(done.stdout), (what, 'wrong data')
        assert (done.returncode in (DAMAGED, INCOMPLETE) or
                done.stdout == disk), (what, done)
        if done.returncode:
            return True
    return False


def check_flips(data, index, rng):
    """Each byte behind the last frame of data, with one bit of it flipped."""
    noted = 0
    for at in range(index.offset, len(data), rng.randrange(30, 45)):
        bit = rng.randrange(8)
        # What frame 0 decompresses to: with that wrong there is no header.
        if 12 <= at - index.offset - index.size < 16:
            continue
        write('x.zst', flip(data, at, bit))
        # (Without an index that is known extents are looked for, and no note.)
        unknown = 8 <= at - index.offset < 20 or at == index.offset
        done = run('extract', '-d', 'a=-', 'x.zst')
        assert done.returncode == OK, (at, bit, done.stderr)
        assert done.stdout == DISKS['a'], (at, bit, 'wrong data')
        note = b'looked for' in done.stderr
        # Two bits of the table's descriptor mean nothing.
        assert note or unknown or (at == len(data) - 5 and bit < 2), (at, bit)
        noted += note
    assert noted > 0


def main():
    seed = random.SystemRandom().randrange(1 << 32)
    print('seed', seed)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for options in (('--frame-size=1',), ()):
            data = make_archive(*options)
            frames = seekable.read_table(data)
            index = frames[-1]
            table = index.offset + index.size
            write('x.zst', data)
            expect_all('as it is', False)
            check_flips(data, index, rng)
            # In the entry of frame 1: what it decompresses to, and its size.
            for at in (table + 8 + 12, table + 8 + 8):
                write('x.zst', flip(data, at))
                expect_all('a wrong entry of the seek table', True)
                write('x.zst', flip(flip(data, at), index.offset + 40))
                expect_all('both are damaged', True)
            for end in (index.offset, index.offset + 20, table, table + 9,
                        len(data) - 1):
                write('x.zst', data[:end])
                expect_all(f'cut to {end} of {len(data)} bytes', True)
            # The extents are as damaged without their index as with it.
            failed = 0
            for frame in (frames[1], frames[-2]):
                for start in (index.offset + 40, table + 8):
                    for bad in range(frame.offset, frame.offset + frame.size,
                                     frame.size // 4):
                        write('x.zst', flip(flip(data, start), bad, 4))
                        failed += fails(f'bytes {start} and {bad}')
            # (Some bits of a frame of zstd mean nothing.)
            assert failed > 12, failed
            write('x.zst', data[:index.offset - 1])
            assert fails('cut within the last frame')
            first = frames[1].offset
            for end in (first - 1, first, first + 1, first + 10,
                        first + frames[1].size // 2,
                        first + frames[1].size - 1):
                write('x.zst', data[:end])
                for command in (('extract', '-d', 'b=-'), ('map', '-d', 'b')):
                    done = run(*command, 'x.zst')
                    assert done.returncode == INCOMPLETE, (end, first,
                                                           done.stderr)
                    assert not done.stdout, (end, first)


if __name__ == '__main__':
    main()
