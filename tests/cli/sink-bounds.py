#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""However much a stream claims, vma-sink takes memory and room for what it has
been sent, and leaves nothing of what failed.

The one thing that a stream can ask for is what zeroes take in an archive: 512
bytes for 59 clusters.  Where that is too much the file system says so.
"""
import importlib.util
import os
import struct
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
import limits  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
SINK = os.environ.get('VMA_SINK', 'build/vma-sink')
FAILED, DAMAGED, INCOMPLETE = 1, 3, 4
LARGEST = 1 << 48
CLUSTERS = LARGEST // 65536
SMALL_KIB = 40 << 10
# Frames and the room for them, of as many threads as there may be.
ZSTD_KIB = 120 << 10
SANITIZED = limits.is_sanitized(SINK)
OUTPUTS = (['-o', 'out.vma'], ['--format=raw', '-o', 'out'],
           ['-T', '2', '-o', 'out.vma.zst'])

spec = importlib.util.spec_from_file_location(
    'vectors', ROOT + '/tests/data/make-stream-vectors.py')
stream = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stream)


def zero_run(number, seed=zlib.crc32(stream.UUID)):
    """What stream.record() gives, but faster."""
    body = struct.pack('>4sBBHQIII', b'QBSr', stream.ZERO, 1, 0, 0, number, 1,
                       0)
    return body + struct.pack('>I', zlib.crc32(body, seed))


def largest(count, *records):
    """A stream with COUNT disks of 256 TiB, in pieces."""
    yield stream.preamble([stream.device(i, f'd{i}', LARGEST)
                           for i in range(1, count + 1)])
    yield from records


def many(numbers):
    """A disk of 256 TiB, and zeroes in these clusters."""
    yield from largest(1)
    yield from map(zero_run, numbers)


def cases():
    """
    Name, stream, exit codes of a folder and of an archive, memory.  None is
    held here as a whole: what starts a program counts as memory of it.
    """
    yield ('254 disks of 256 TiB, and no more', largest(254),
           (FAILED, INCOMPLETE), (INCOMPLETE,), SMALL_KIB)
    yield ('their first and last clusters', largest(254, *[
        stream.record(stream.ZERO, i, number, 1) for i in range(1, 255)
        for number in (0, CLUSTERS - 1)]),
           (FAILED, INCOMPLETE), (INCOMPLETE,), SMALL_KIB)
    yield ('all is zero', largest(1, stream.record(
        stream.ZERO, 1, 0, CLUSTERS - 1)), (FAILED, INCOMPLETE), (FAILED,),
           SMALL_KIB)
    yield ('a million runs', many(range(0, 1 << 32, 1 << 12)),
           (FAILED, INCOMPLETE), (FAILED, INCOMPLETE), 100 << 10)
    yield ('a million runs, backwards, one of them twice', many(
        abs(i) << 4 for i in range(-(1 << 20) + 1, 2)),
           (FAILED, DAMAGED), (FAILED, DAMAGED), SMALL_KIB)
    yield ('a preamble of 17 MiB', [stream.preamble(
        [stream.device(1, 'a', 512)], size=17 << 20)], (INCOMPLETE,),
           (INCOMPLETE,), SMALL_KIB + (17 << 10))
    yield ('a record of 4 GiB', largest(1, stream.record(
        stream.DATA, 1, 0, 64, size=0xffffffff)),
           (FAILED, DAMAGED), (DAMAGED,), SMALL_KIB)
    yield ('an unknown record of 4 GiB', largest(1, stream.record(
        200, 0, 0, 0, size=0xffffffff)),
           (FAILED, DAMAGED), (DAMAGED,), SMALL_KIB)


def check(name, arguments, path, codes, kib):
    """In the working folder, where a file may have 16 MiB."""
    if '-T' in arguments:
        kib += ZSTD_KIB
    result = limits.run([SINK, *arguments], stdin=path,
                        file_bytes=16 << 20,
                        memory_bytes=None if SANITIZED else 1 << 30)
    print(name, arguments, result.code, result.kib, result.err[:100])
    if result.code not in codes:
        sys.exit(f'exit code {result.code}, not {codes}: {result.err}')
    if not SANITIZED and result.kib > kib:
        sys.exit(f'{result.kib} KiB of memory, more than {kib}')
    if os.listdir('.'):
        sys.exit(f'something is left: {os.listdir(".")}')


def check_sparse():
    """A disk of 256 TiB as an image is a file that takes no room."""
    folder = limits.folder_for_large_files()
    if not folder:
        print('no file system here has files of 256 TiB')
        return
    with folder:
        path, out = folder.name + '/stream', folder.name + '/out'
        with open(path, 'wb') as file:
            file.writelines(largest(
                1, stream.record(stream.DATA, 1, 4711, 1, b'x' * 65536),
                stream.record(stream.ZERO, 1, 0, 4711),
                stream.record(stream.ZERO, 1, 4712, CLUSTERS - 4712),
                stream.device_end(1, 1, CLUSTERS - 1),
                stream.end(4, 1, CLUSTERS - 1, 65536)))
        result = limits.run([SINK, '--format=raw', '-o', out], stdin=path)
        print('sparse', result.code, result.err)
        if result.code:
            sys.exit('it has failed')
        limits.check_sparse(out + '/disk-d1.raw', LARGEST)
        if not SANITIZED and result.kib > SMALL_KIB:
            sys.exit(f'{result.kib} KiB of memory')


def main():
    check_sparse()
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/stream'
        os.mkdir(folder + '/work')
        os.chdir(folder + '/work')
        for name, data, folder_codes, archive_codes, kib in cases():
            with open(path, 'wb') as file:
                file.writelines(data)
            for arguments in OUTPUTS:
                check(name, arguments, path, folder_codes
                      if '--format=raw' in arguments else archive_codes, kib)
        os.chdir('/')


if __name__ == '__main__':
    main()
