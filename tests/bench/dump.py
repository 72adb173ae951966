#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The speed of a backup by qemu-storage-daemon, and what the guest feels of it.

usage: dump.py BUILD FOLDER [MIB [ROUNDS]]

BUILD is QEMU's build folder, FOLDER should be on tmpfs.  See dump.sh.
"""

import fcntl
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '../qemu'))

import harness      # noqa: E402  pylint: disable=wrong-import-position

F_SETPIPE_SZ = 1031
MIB = 1 << 20
REGION = 4 * MIB          # data and holes in turn
LATENCY_DISK = 256 * MIB


def make_disk(path, size):
    """Half data, half holes, in turn.  Returns the bytes of data."""
    block = os.urandom(64 * MIB)
    data = 0
    with open(path, 'wb', 0) as file:
        file.truncate(size)
        for offset in range(0, size, 2 * REGION):
            start = random.randrange(0, len(block) - REGION, 4096)
            file.seek(offset)
            data += file.write(
                block[start:start + min(REGION, size - offset)])
    return data


def pipe(size):
    source, target = os.pipe()
    if size:
        fcntl.fcntl(target, F_SETPIPE_SZ, size)
    return source, target


def reader(source):
    """cat > /dev/null; takes source over"""
    with open(os.devnull, 'wb') as null:
        process = subprocess.Popen(['cat'], stdin=source, stdout=null)
    os.close(source)
    return process


def seconds_of_cat(path, pipe_size):
    source, target = pipe(pipe_size)
    sink = reader(source)
    start = time.monotonic()
    with open(path, 'rb') as file:
        subprocess.run(['cat'], stdin=file, stdout=target, check=True)
    os.close(target)
    sink.wait()
    return time.monotonic() - start


def seconds_of_backup(build, folder, blockdev, pipe_size):
    test = harness.Test(build, folder)
    source, target = pipe(pipe_size)
    try:
        daemon = test.daemon('--blockdev', blockdev, pass_fds=[target])
        os.close(target)
        sink = reader(source)
        start = time.monotonic()
        daemon.backup(backup_file='fd:%d' % target, devlist='disk')
        sink.wait()
        seconds = time.monotonic() - start
        daemon.end('done')
        return seconds
    finally:
        test.finish()


def compare(build, folder, size, rounds):
    """A disk that is half hole: the data's rate against cat's"""
    disk, data = os.path.join(folder, 'disk'), os.path.join(folder, 'data')
    data_bytes = make_disk(disk, size)
    # what cat copies is the data alone
    with open(disk, 'rb') as source, open(data, 'wb') as target:
        for offset in range(0, size, 2 * REGION):
            source.seek(offset)
            target.write(source.read(REGION))
    blockdev = ('driver=raw,node-name=disk,file.driver=file,'
                'file.filename=' + disk)

    for name, pipe_size in (('64 KiB', 0), ('1 MiB', MIB)):
        cat, backup, ratio = [], [], []
        for _ in range(rounds):
            cat.append(seconds_of_cat(data, pipe_size))
            backup.append(seconds_of_backup(build, folder, blockdev,
                                            pipe_size))
            ratio.append(cat[-1] / backup[-1])
        cat, backup = statistics.median(cat), statistics.median(backup)
        print('pipe of %s: cat %.2f s, %.0f MiB/s; backup %.2f s, %.0f MiB/s; '
              'rate %.2f of cat\'s (%s)' %
              (name, cat, data_bytes / MIB / cat, backup,
               data_bytes / MIB / backup, statistics.median(ratio),
               ' '.join('%.2f' % r for r in ratio)))
    os.unlink(data)
    os.unlink(disk)

    holes = []
    path = os.path.join(folder, 'holes')
    with open(path, 'wb') as file:
        file.truncate(8 * size)
    for _ in range(rounds):
        holes.append(seconds_of_backup(
            build, folder, 'driver=raw,node-name=disk,file.driver=file,'
            'file.filename=' + path, 0))
    os.unlink(path)
    print('disk of %d MiB, all hole: %.2f s' %
          (8 * size // MIB, statistics.median(holes)))


class SlowReader(threading.Thread):
    """Takes rate bytes per second; 0: nothing at all"""

    def __init__(self, source, rate):
        super().__init__(daemon=True)
        self._source = source
        self._rate = rate
        self._over = threading.Event()
        self.start()

    def run(self):
        while not self._over.is_set():
            if self._rate:
                try:
                    if not os.read(self._source, max(4096, self._rate // 100)):
                        break
                except OSError:
                    break
            self._over.wait(0.01)
        os.close(self._source)

    def stop(self):
        self._over.set()
        self.join()


def latency(build, folder, name, seconds, rate=None, **arguments):
    """Writes of 4 KiB at random places of a disk that nobody caches, one at a
    time.  rate: that of the reader in bytes per second, None: no backup,
    -1: as fast as it can"""
    path = os.path.join(folder, 'disk')
    make_disk(path, LATENCY_DISK)
    sock = os.path.join(folder, 'nbd')
    test = harness.Test(build, folder)
    slow = sink = None
    times = []
    try:
        source, target = os.pipe()
        daemon = test.daemon(
            '--blockdev', 'driver=raw,node-name=disk,file.driver=file,'
            'file.filename=' + path,
            '--object', 'iothread,id=io0',
            '--nbd-server', 'addr.type=unix,addr.path=' + sock,
            '--export', 'type=nbd,id=e0,node-name=disk,name=disk,'
            'writable=on,iothread=io0', pass_fds=[target])
        os.close(target)
        client = harness.Nbd(sock, 'disk')
        rng = random.Random(1)
        data = rng.randbytes(4096)
        if rate is None:
            os.close(source)
        elif rate < 0:
            sink = reader(source)
        else:
            slow = SlowReader(source, rate)

        def write_for(duration):
            end = time.monotonic() + duration
            while time.monotonic() < end:
                offset = rng.randrange(LATENCY_DISK // 4096) * 4096
                start = time.monotonic()
                client.write(offset, data)
                times.append(time.monotonic() - start)

        write_for(0.2)
        times.clear()
        if rate is not None:
            # the guest does not stop while the backup starts
            ident = daemon.qmp.send('backup', backup_file='fd:%d' % target,
                                    devlist='disk', **arguments)
            write_for(seconds)
            daemon.qmp.wait(ident)
            state = daemon.status()['status']
        else:
            write_for(seconds)
            state = 'none'
        if slow:
            slow.stop()
        if sink:
            sink.wait()
    finally:
        test.finish()
    times.sort()
    print('%-34s %8d %9.3f %9.3f %9.1f   %s' %
          (name, len(times), 1e3 * statistics.median(times),
           1e3 * times[len(times) * 99 // 100], 1e3 * times[-1], state))
    os.unlink(path)
    os.unlink(sock)


def main():
    build, parent = sys.argv[1:3]
    size = int(sys.argv[3]) * MIB if len(sys.argv) > 3 else 8192 * MIB
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    sys.stdout.reconfigure(line_buffering=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix='dump-') as folder:
        print('disk of %d MiB, half hole, %d rounds, %d cores' %
              (size // MIB, rounds, os.cpu_count()))
        compare(build, folder, size, rounds)
        print('\n4 KiB writes to a disk of %d MiB, through NBD, in ms\n'
              '%-34s %8s %9s %9s %9s   %s' %
              (LATENCY_DISK // MIB, '', 'writes', 'p50', 'p99', 'max',
               'backup'))
        latency(build, folder, 'no backup', 3)
        latency(build, folder, 'backup, 10 MB/s limit', 3, -1,
                speed=10 * 10 ** 6)
        latency(build, folder, 'backup', 3, -1)
        latency(build, folder, 'backup, reader takes 1 MB/s', 10, 10 ** 6)
        latency(build, folder, 'backup, reader stopped, timeout 2', 5, 0,
                timeout=2)
    return 0


if __name__ == '__main__':
    sys.exit(main())
