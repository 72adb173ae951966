#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A client that writes to two NBD exports as fast as it can, one request at a
time, and measures how long each takes.

usage: writer.py SOCKET CONTROL EXPORT-A EXPORT-B FIRST-BLOCK BLOCKS STAMP

What it writes is known from STAMP alone, see writes(): so of a copy of the two
disks one can tell exactly which of the writes are in it.  CONTROL is a file
that is shared with whoever has started it, see Control.
"""

import mmap
import os
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '../qemu'))

import harness      # noqa: E402  pylint: disable=wrong-import-position

BLOCK = 4096
SEQUENCE = (1 << 40) - 1        # the bits of a stamp that are the number
PHASES = 32
BUCKETS = 400                   # of a histogram, see bucket()
STEP = 1.05


def writes(stamp, blocks):
    """The writes number 1, 2, ...: (disk, first block, number of blocks).  Each
    block that write n changes has stamp + n in it, again and again."""
    rng = random.Random(stamp)
    while True:
        count = rng.choice((1, 1, 1, 1, 4, 16, 32))
        yield rng.randrange(2), rng.randrange(blocks - count + 1), count


def contents(value):
    return value.to_bytes(8, sys.byteorder) * (BLOCK // 8)


def bucket_seconds(number):
    """The upper bound of a bucket"""
    return 1e-6 * STEP ** (number + 1)


BOUNDS = [bucket_seconds(i) for i in range(BUCKETS)]


class Control:
    """Numbers that both sides see.  Each is written by one side only."""

    FIELDS = ('stop', 'phase', 'begun', 'done', 'errors')
    SIZE = 8 * (len(FIELDS) + PHASES * (BUCKETS + 1))

    def __init__(self, path):
        if not os.path.exists(path):
            with open(path, 'wb') as file:
                file.truncate(self.SIZE)
        with open(path, 'r+b') as file:
            self._map = mmap.mmap(file.fileno(), self.SIZE)
        self._words = memoryview(self._map).cast('Q')

    def get(self, name):
        return self._words[self.FIELDS.index(name)]

    def set(self, name, value):
        self._words[self.FIELDS.index(name)] = value

    def _phase(self, phase):
        start = len(self.FIELDS) + phase * (BUCKETS + 1)
        return start, start + BUCKETS

    def count(self, phase, seconds, number):
        start, longest = self._phase(phase)
        self._words[start + number] += 1
        nanoseconds = int(seconds * 1e9)
        if nanoseconds > self._words[longest]:
            self._words[longest] = nanoseconds

    def histogram(self, phase):
        """The counts of all buckets, and the longest time in seconds"""
        start, longest = self._phase(phase)
        return list(self._words[start:longest]), self._words[longest] / 1e9


def bucket(seconds):
    low, high = 0, BUCKETS - 1
    while low < high:
        middle = (low + high) // 2
        if BOUNDS[middle] < seconds:
            low = middle + 1
        else:
            high = middle
    return low


def main():
    path, control, *exports = sys.argv[1:5]
    first, blocks, stamp = map(int, sys.argv[5:])
    control = Control(control)
    clients = [harness.Nbd(path, export) for export in exports]
    number = 0
    print('ready', flush=True)
    try:
        for disk, block, count in writes(stamp, blocks):
            if control.get('stop'):
                break
            number += 1
            data = contents(stamp + number) * count
            phase = control.get('phase')
            control.set('begun', number)
            start = time.monotonic()
            clients[disk].write((first + block) * BLOCK, data)
            seconds = time.monotonic() - start
            control.set('done', number)
            control.count(phase, seconds, bucket(seconds))
    except Exception:       # pylint: disable=broad-except
        control.set('errors', 1)
        raise
    return 0


if __name__ == '__main__':
    sys.exit(main())
