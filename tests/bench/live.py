#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A backup by qemu-storage-daemon to what compresses it, each with two threads.

usage: live.py BUILD SINK IMAGE FOLDER [ROUNDS]

BUILD is QEMU's build folder, SINK the path of vma-sink.  See live.sh.
"""

import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '../qemu'))

import harness      # noqa: E402  pylint: disable=wrong-import-position


def seconds(build, folder, image, command, stdout):
    """From the command to the end of what reads the pipe"""
    test = harness.Test(build, folder)
    source, target = os.pipe()
    try:
        daemon = test.daemon(
            '--blockdev', 'driver=raw,node-name=disk,file.driver=file,'
            'file.filename=' + image, pass_fds=[target])
        os.close(target)
        with open(stdout, 'wb') as out:
            reader = subprocess.Popen(command, stdin=source, stdout=out,
                                      stderr=subprocess.DEVNULL)
        os.close(source)
        start = time.monotonic()
        daemon.backup(backup_file='fd:%d' % target, devlist='disk')
        if reader.wait() != 0:
            raise SystemExit('%s failed' % command[0])
        took = time.monotonic() - start
        daemon.end('done')
        return took
    finally:
        test.finish()


def main():
    build, sink, image, folder = sys.argv[1:5]
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 5
    archive = os.path.join(folder, 'live.vma.zst')
    other = os.path.join(folder, 'live.zst')
    theirs, ours = [], []
    for _ in range(rounds + 1):
        theirs.append(seconds(build, folder, image,
                              ['zstd', '-q', '-T2', '-1'], other))
        ours.append(seconds(build, folder, image, [
            sink, '-f', '-T', '2', '--compress=zstd:1', '-o', archive],
            os.devnull))
    # The first of each only warms up.
    ratio = sorted(b / a for a, b in zip(theirs[1:], ours[1:]))
    print('QEMU to a pipe: zstd %.2f s, vma-sink %.2f s; ratio %.2f (%.2f '
          '%.2f %.2f)' % (statistics.median(theirs[1:]),
                          statistics.median(ours[1:]),
                          statistics.median(ratio), ratio[0],
                          statistics.median(ratio), ratio[-1]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
