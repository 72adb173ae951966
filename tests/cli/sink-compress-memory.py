#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
vma-sink compresses in 64 MiB of memory and 12 MiB a thread, whatever the level.
"""
import os
import subprocess
import sys

DUMP = os.environ.get('VMA_DUMP', 'build/vma-dump')
SINK = os.environ.get('VMA_SINK', 'build/vma-sink')
DISK_BYTES = 96 << 20
LEVELS = 1, 9, 12, 13, 19


def peak_kib(level, threads):
    """Of vma-sink, with a disk of lines that differ a little"""
    with subprocess.Popen([DUMP, 'd=disk'],
                          stdout=subprocess.PIPE) as dump:
        with subprocess.Popen(
                [SINK, f'--compress=zstd:{level}',
                 f'--threads={threads}', '-o', 'a.vma.zst', '--force'],
                stdin=dump.stdout) as sink:
            dump.stdout.close()
            _pid, status, usage = os.wait4(sink.pid, 0)
            sink.returncode = os.waitstatus_to_exitcode(status)
        if sink.returncode != 0 or dump.wait() != 0:
            sys.exit(f'level {level}: failed')
    return usage.ru_maxrss


def main():
    if b'libasan' in subprocess.run(['ldd', SINK], check=False,
                                    stdout=subprocess.PIPE).stdout:
        print('a sanitizer takes memory of its own')
        sys.exit(77)
    block = os.urandom(64 << 10)
    with open('disk', 'wb') as disk:
        for i in range(DISK_BYTES // len(block)):
            disk.write(i.to_bytes(8, 'little') + block[8:])
    for level in LEVELS:
        for threads in 1, 4:
            used, limit = peak_kib(level, threads), (64 + 12 * threads) << 10
            print(f'level {level}, {threads} threads: {used} KiB')
            if used > limit:
                sys.exit(f'more than {limit} KiB')


if __name__ == '__main__':
    main()
