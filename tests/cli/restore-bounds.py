#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""However much an archive claims, vma-restore takes memory, room and time for
what is in it, and leaves nothing of what failed.

(restore-compressed-memory.py has what a seek table, an index and the frames
that they list can claim.)
"""
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import limits  # noqa: E402
import mkvma  # noqa: E402
from mkvma import BLOCK, CLUSTER, Entry  # noqa: E402

RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')
OK, FAILED, USAGE, DAMAGED, INCOMPLETE = range(5)
LARGEST = 1 << 48
CLUSTERS = LARGEST // CLUSTER
SMALL_KIB = 48 << 10
# Pieces of a stream ahead, and a window of zstd of the largest size.
STREAM_KIB = 200 << 10
SANITIZED = limits.is_sanitized(RESTORE)
# The largest file, but for those in which a hole is most of it.
FILE_BYTES = 16 << 20

COMMANDS = (['list'], ['list', '--json'], ['verify'],
            ['extract', None, 'out'], ['extract', '--salvage', None, 'out'],
            ['extract', '-d', 'd1=-'], ['extract', '-d', 'd1', None, 'out'],
            ['reindex', None, 'out.vma'], ['serve', '--run', 'true'])


def compress(data, *options):
    return subprocess.run(['zstd', '-qc', *options], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def skippable(size):
    return struct.pack('<II', 0x184d2a50, size)


def frame(window_log, content_bytes, block):
    """A frame's header, the checksum apart, and a block of one byte, BLOCK."""
    return struct.pack('<IBBQ', 0xfd2fb528, 0xc0, (window_log - 10) << 3,
                       content_bytes) + struct.pack('<I', 1 << 3 | 2 | 1
                                                    )[:3] + block


def header(count=1):
    return mkvma.header([(i, b'd%d' % i, LARGEST)
                         for i in range(1, count + 1)])


def scattered(count, step):
    """Extents of zeroes, each cluster in a stretch of its own."""
    numbers = range(0, CLUSTERS, step)
    for first in range(0, 59 * count, 59):
        yield mkvma.extent([Entry(1, number, 0, b'')
                            for number in numbers[first:first + 59]])


def names_of_64k(count):
    """All of them at the same place in the blob buffer."""
    out = bytearray(mkvma.header(
        [(1, b'n' * 65534, 512)], [(b'c', b'x' * 65535)]))
    name = out[4096 + 32:4096 + 64]
    for i in range(1, count):
        out[4096 + 32 * (i + 1):4096 + 32 * (i + 2)] = name
    for i in range(1, 256):
        for table in 2044, 3068:
            out[table + 4 * i:table + 4 * (i + 1)] = out[table:table + 4]
    return mkvma.signed(out, 32)


def sparse_table():
    """A seek table of 2^27 frames, all of it a hole but for its ends."""
    entries = 8 << 27
    yield struct.pack('<II', 0x184d2a5e, entries + 9)
    yield entries
    yield struct.pack('<IBI', 1 << 27, 0, 0x8f92eab1)


def write(path, pieces):
    """Bytes, and sizes of holes."""
    with open(path, 'wb') as file:
        for piece in pieces:
            if isinstance(piece, int):
                file.seek(piece, os.SEEK_CUR)
            else:
                file.write(piece)


def cases():
    """Name, archive in pieces, memory."""
    yield '254 disks of 256 TiB', [header(254)], SMALL_KIB
    yield ('half a million clusters, far from one another',
           [header(), *scattered(8900, 1 << 13)], SMALL_KIB)
    yield ('the same one again and again', [header(), mkvma.extent(
        [Entry(1, 7, 0, b'')]) * 4000], SMALL_KIB)
    # Each one is told; with a look at all of them it would take minutes.
    yield ("a million gaps in the guest's memory",
           [mkvma.header([(1, b'd1', 512), (2, b'vmstate', 512)]),
            mkvma.extents([Entry(2, 2 * i + 1, 0, b'')
                           for i in range(1000000)], 59)], SMALL_KIB)
    yield ('more than 16 million bytes of names and configs',
           [names_of_64k(254)], 120 << 10)
    yield 'a header of 64 MiB', [mkvma.header(
        [(1, b'd1', 512)], extra=(64 << 20) - 12800)], 160 << 10
    yield 'a header of 4 GiB', [header()[:56] + b'\xff' * 4 +
                                header()[60:]], SMALL_KIB
    # Compressed.
    packed = compress(header())
    yield ('a stream of zeroes', [packed, compress(bytes(64 << 20)) * 4],
           STREAM_KIB)
    yield ('a window of 2 GiB', [packed, frame(31, 1 << 40, b'x')],
           STREAM_KIB)
    yield ('a content of 2^62 bytes', [packed, frame(10, 1 << 62, b'x')],
           STREAM_KIB)
    yield ('a frame of 4 GiB to be skipped',
           [skippable(0xffffffff), packed], STREAM_KIB)
    yield ('frames without end', [packed, compress(b'') * 300000],
           STREAM_KIB)
    yield ('frames to be skipped without end',
           [packed, skippable(0) * 300000], STREAM_KIB)
    yield ('a table of 2^27 frames', [packed, *sparse_table()], STREAM_KIB)
    yield ('compressed twice', [compress(compress(header()))],
           STREAM_KIB)


def check(name, path, command, kib):
    codes = (FAILED, USAGE, DAMAGED, INCOMPLETE)
    # What reads no more than the header may find nothing wrong.
    if command[0] == 'list':
        codes += (OK,)
    command = [path if word is None else word for word in command]
    if path not in command:
        command.append(path)
    result = limits.run([RESTORE, *command], file_bytes=FILE_BYTES,
                        memory_bytes=None if SANITIZED else 1 << 30)
    print(name, command, result.code, result.kib, result.err[:90])
    if result.code not in codes:
        sys.exit(f'exit code {result.code}, not {codes}: {result.err}')
    if not SANITIZED and result.kib > kib:
        sys.exit(f'{result.kib} KiB of memory, more than {kib}')
    if os.listdir('.') and '--salvage' not in command:
        sys.exit(f'something is left: {os.listdir(".")}')
    subprocess.run(['rm', '-rf', 'out'], check=True)


def check_sparse():
    """What is salvaged of a disk of 256 TiB is a file that takes no room."""
    folder = limits.folder_for_large_files()
    if not folder:
        print('no file system here has files of 256 TiB')
        return
    with folder:
        path, out = folder.name + '/x.vma', folder.name + '/out'
        last = Entry(1, CLUSTERS - 1, 1 << 15, b'x' * BLOCK)
        with open(path, 'wb') as file:
            file.write(header())
            file.writelines(scattered(100, 1 << 13))
            file.write(mkvma.extent([last]))
        result = limits.run([RESTORE, 'extract', '--salvage', path, out])
        image = out + '/disk-d1.raw'
        print('sparse', result.code, result.kib, result.err[-100:])
        if result.code != INCOMPLETE:
            sys.exit('it was not found to be incomplete')
        limits.check_sparse(image, LARGEST)
        if not SANITIZED and result.kib > SMALL_KIB:
            sys.exit(f'{result.kib} KiB of memory')


def main():
    check_sparse()
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/x.vma'
        os.mkdir(folder + '/work')
        os.chdir(folder + '/work')
        for name, data, kib in cases():
            write(path, data)
            del data
            for command in COMMANDS:
                # nbdkit takes no plugin with a sanitizer.
                if command[0] != 'serve' or not SANITIZED:
                    check(name, path, command, kib)
        os.chdir('/')


if __name__ == '__main__':
    main()
