#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A compressed archive that was cut, or in which a bit has flipped, is known
to be, or is the same one; and nothing wrong is ever restored from it.

Every length and every byte of a small one.  With a seek table missing it is
read from front to back, as one of zstd alone is.
"""
import os
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import seekable  # noqa: E402
from programs import (DAMAGED, INCOMPLETE, OK, RESTORE,  # noqa: E402
                      archive_of, flip, read, write)
from programs import restore as run  # noqa: E402


def make_disk(rng):
    """Small when it is compressed, and still many kinds of zstd's blocks."""
    disk = bytearray(70 * 65536 + 1024)
    words = [rng.randbytes(rng.randrange(2, 6)) for _ in range(20)]
    text = b''.join(rng.choice(words) for _ in range(40))
    for at in (0, 3 * 65536 + 4096, 60 * 65536):
        disk[at:at + len(text)] = text
    disk[65536:65536 + 4096] = b'a' * 4096
    disk[-5:] = b'12345'
    return bytes(disk)


def extracts_right(disk, what):
    """Extract gives the disk or nothing; whether it did, and its exit code."""
    code = run('extract', '-f', '-d', 'disk=out', 'x.zst').returncode
    if code == OK:
        assert read('out') == disk, f'{what}: wrong, with exit code 0'
        os.unlink('out')
    assert not os.path.exists('out'), what
    return code


def check_cuts(data, disk, index, step):
    """The whole archive is there before and behind the index."""
    plain = DAMAGED, INCOMPLETE         # nothing tells yet that it is zstd
    ends = index.offset, index.offset + index.size
    for size in sorted({*range(0, len(data), step), *ends}):
        write('x.zst', data[:size])
        what = f'cut to {size} of {len(data)} bytes'
        got = [run('verify', 'x.zst').returncode]
        if size % 4 == 0 or size >= ends[0]:
            got.append(extracts_right(disk, what))
        if size % 8 == 0:
            got.append(run('verify', '-', data=data[:size]).returncode)
        # Of the index or the table a part is a frame that was cut.
        expected = (plain if size < 4 else
                    [OK] if size in ends else [INCOMPLETE])
        assert all(x in expected for x in got), (what, got)


class Places:
    """Where a bit may flip without a change of the archive, and why.

    Besides these, zstd has bits within its frames that nobody looks at, and
    such as give the same bytes in another way; the checksum says so.
    """

    def __init__(self, data):
        self.size = len(data)
        self.frames = seekable.read_table(data)

    def of(self, at, bit):
        index = self.frames[-1]
        if at < index.offset:
            return 'frames'
        if at == index.offset and bit < 4:
            return 'which of 16 skippable frames has the index'
        if 8 <= at - index.offset < 20:
            return 'magic and version of the index: then there is none'
        if at >= self.size - 4:
            return 'magic of the seek table: then there is none'
        if at == self.size - 5 and bit < 2:
            return 'bits of the descriptor without meaning'
        return None


def check_flips(data, disk, rng, step):
    places = Places(data)
    content = seekable.decompress(data)
    harmless = {}
    for at in range(rng.randrange(step), len(data), step):
        bit = rng.randrange(8)
        bad = flip(data, at, bit)
        write('x.zst', bad)
        what = f'bit {bit} of byte {at} of {len(data)}'
        verified = run('verify', 'x.zst').returncode
        assert verified in (OK, DAMAGED, INCOMPLETE), (what, verified)
        if verified == OK or at % 4 == 0:
            extracted = extracts_right(disk, what)
            assert extracted in (OK, DAMAGED, INCOMPLETE), (what, extracted)
        if verified == OK:
            assert extracted == OK, what
            assert seekable.decompress(bad) == content, what
            place = places.of(at, bit)
            assert place, what + ': not found'
            harmless.setdefault(place, []).append((at, bit))
    # A frame has few of them.
    found = harmless.get('frames', [])
    assert len(found) * 20 < places.frames[-1].offset, found
    for place, bits in sorted(harmless.items()):
        print(place, bits)


def main():
    seed = random.SystemRandom().randrange(1 << 32)
    print('seed', seed)
    rng = random.Random(seed)
    disk = make_disk(random.Random(1))
    asan = b'libasan' in subprocess.run(['ldd', RESTORE], check=False,
                                        stdout=subprocess.PIPE).stdout
    step = 5 if asan else 1             # it is slow
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write('disk', disk)
        data = archive_of(['disk=disk'], '--frame-size=1', '--compress=zstd:%d'
                          % rng.choice((1, 3, 19)))
        frames = seekable.read_table(data)
        print(len(data), frames)
        write('x.zst', data)
        assert run('verify', 'x.zst').returncode == OK
        assert extracts_right(disk, 'the whole one') == OK
        check_flips(data, disk, rng, step)
        check_cuts(data, disk, frames[-1], step)


if __name__ == '__main__':
    main()
