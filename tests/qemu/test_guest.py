# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest writes while a backup is active.

The backups are slowed down with a speed limit, so that what the guest does
happens before its cluster was copied in the background.
"""

import os
import threading
import time

from during import to_small_pipe
from harness import CLUSTER, Nbd, Reader, check, disk, equal, pattern
from stream import END, Stream

SIZE = 4 << 20
SLOW = 65536    # the first chunk goes at once, the next ones much later


def slow_backup(t, data, requests, fmt='raw', iothread=False):
    """Let the guest make requests while a backup runs; return the disk as
    backed up, and the machine"""
    path = t.raw('a', data)
    if fmt == 'qcow2':
        t.img('convert', '-O', 'qcow2', path, t.path('b'))
        path = t.path('b')
    args = ['-object', 'iothread,id=io0'] if iothread else []
    vm = t.machine(*args, *disk('d0', path, fmt,
                                iothread='io0' if iothread else None))
    reader = Reader(vm.to_pipe(speed=SLOW))
    for request in requests:
        vm.io('d0', request)
    equal(vm.status()['status'], 'active', 'status')
    vm.full_speed()
    result = reader.result()
    vm.end('done')
    return result.device('d0').image, vm


def test_write_before(t):
    """What was written before the command is in the backup."""
    data = pattern(SIZE)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    vm.io('d0', 'write -P 0x55 1M 100k')
    vm.io('d0', 'write -z 2M 64k')
    data[1 << 20:(1 << 20) + 102400] = b'\x55' * 102400
    data[2 << 20:(2 << 20) + CLUSTER] = bytes(CLUSTER)
    check(vm.whole_backup().device('d0').image == data, 'wrong contents')


def test_write_during(t):
    """What is written after the command is not in the backup."""
    data = pattern(SIZE)
    image, vm = slow_backup(t, data, [
        'write -P 0x66 0 64k', 'write -P 0x66 1M 1M', 'write -P 0x67 2M 128k'])
    check(image == data, 'wrong contents')
    check('read 1048576/' in vm.io('d0', 'read -P 0x66 1M 1M'), 'no output')


def test_zeroes_during(t):
    """Nor are zeroes that are written after the command."""
    data = pattern(SIZE)
    image, _vm = slow_backup(t, data, ['write -z 1M 1M',
                                       'write -z -u 3M 512k'])
    check(image == data, 'wrong contents')


def test_discard_during(t):
    """A discard after the command does not empty the backup."""
    data = pattern(SIZE)
    image, _vm = slow_backup(t, data, ['discard 0 1M', 'discard 2M 1M'])
    check(image == data, 'wrong contents')


def test_partial_cluster_during(t):
    """A write of a part of a cluster keeps the whole old cluster."""
    data = pattern(SIZE)
    image, _vm = slow_backup(t, data, [
        'write -P 0x77 %d 512' % (20 * CLUSTER + 512),
        'write -P 0x77 %d 1024' % (31 * CLUSTER - 512)])
    check(image == data, 'wrong contents')


def test_last_cluster_during(t):
    """A write to the last cluster, which is short, keeps the old one."""
    data = pattern(SIZE + 1536)
    image, _vm = slow_backup(t, data, ['write -P 0x77 %d 512' % (SIZE + 1024),
                                       'write -P 0x77 %d 512' % SIZE])
    check(image == data, 'wrong contents')


def test_qcow2_during(t):
    """All of this also on qcow2."""
    data = pattern(SIZE)
    data[1 << 20:2 << 20] = bytes(1 << 20)
    image, _vm = slow_backup(t, data, [
        'write -P 0x77 1M 1M', 'discard 2M 1M', 'write -z 3M 64k',
        'write -P 0x78 3M 512'], 'qcow2')
    check(image == data, 'wrong contents')


def test_iothread_during(t):
    """And on a disk in an iothread."""
    data = pattern(SIZE)
    image, _vm = slow_backup(t, data, ['write -P 0x77 1M 1M', 'write -z 3M 1k',
                                       'discard 2M 1M'], iothread=True)
    check(image == data, 'wrong contents')


def guest_first(t, number, at_most):
    """The guest writes to a cluster of the first of two disks, 64 records after
    the start; with how many records between them does the cluster come?"""
    size = 16 << 20
    data = pattern(size)
    vm = t.machine(*disk('d0', t.raw('a', data)),
                   *disk('d1', t.raw('b', pattern(size, 2))))
    for seconds in (0.3, 1, 3):     # for the write to get there
        source = to_small_pipe(vm)
        stream = Stream(source)
        stream.read_preamble()
        for _ in range(64):
            stream.read_record()
        ident = vm.io_send('d0', 'write -P 7 %dk 4k' % (number * 64))
        time.sleep(seconds)
        while stream.read_record() != END:
            pass
        source.close()
        vm.io_wait(ident)
        check(stream.device('d0').image == data, 'wrong contents')
        data[number * CLUSTER:number * CLUSTER + 4096] = b'\7' * 4096
        vm.end('done')
        runs = [record[1:] for record in stream.records]
        place = runs.index((1, number, 1)) - 64
        # with an image in between, the write waits for no record at all
        if place <= at_most or t.fleecing:
            return
    check(False, '%d records came before the cluster' % place)


def test_guest_first(t):
    """A guest's write to a cluster that was not yet copied does not wait for
    all that the backup of the disks has in flight."""
    guest_first(t, 255, 2)


def test_guest_first_in_flight(t):
    """Nor where the backup is about to copy that cluster itself."""
    guest_first(t, 48, 5)


def test_many_requests_during(t):
    """Many requests at once to the same clusters keep the old data, and no
    cluster is sent twice."""
    data = pattern(SIZE)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    reader = Reader(vm.to_pipe(speed=SLOW))
    for i in range(64):
        vm.io('d0', 'aio_write -q -P 0x%x %d 96k' % (i + 1, i * 40960 + 512))
    vm.io('d0', 'aio_flush')
    vm.full_speed()
    check(reader.result().device('d0').image == data, 'wrong contents')
    vm.end('done')


def exports(t, path):
    """Arguments for two disks that are exported by NBD in their iothreads"""
    args = ['--nbd-server', 'addr.type=unix,addr.path=' + path]
    for name in ('a', 'b'):
        args += ['--object', 'iothread,id=io' + name,
                 '--blockdev', 'driver=file,node-name=%s,filename=%s' %
                 (name, t.raw('disk-' + name, bytes(CLUSTER))),
                 '--export', 'nbd,id=%s,node-name=%s,writable=on,iothread=io%s'
                 % (name, name, name)]
    return args


def test_order_over_disks(t):
    """Two disks are seen at one moment: a write to the second one that was
    made after a write to the first one was finished is never in a backup
    without that."""
    path = t.path('nbd')
    args = exports(t, path)
    pipes = [os.pipe() for _ in range(200)]
    vm = t.daemon(*args, pass_fds=[target for _, target in pipes])
    for _, target in pipes:
        os.close(target)
    stop = threading.Event()
    writes, errors = [0], []

    def write():
        try:
            clients = [Nbd(path, 'a'), Nbd(path, 'b')]
            while not stop.is_set():
                writes[0] += 1
                for client in clients:
                    client.write(0, writes[0].to_bytes(512, 'big'))
        except Exception as err:    # pylint: disable=broad-except
            errors.append(err)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    # a client that connects during a drain can make an NBD server hang
    while writes[0] < 2:
        check(not errors, 'the writer failed: %r' % errors)
        time.sleep(0.01)
    seen = []
    for source, target in pipes:
        vm.backup(backup_file='fd:%d' % target, devlist='a,b')
        result = Reader(os.fdopen(source, 'rb', 0)).result()
        vm.end('done')
        seen.append([int.from_bytes(result.device(name).image[:512], 'big')
                     for name in ('a', 'b')])
    stop.set()
    writer.join(10)
    check(not errors, 'the writer failed: %r' % errors)
    check(all(b <= a <= b + 1 for a, b in seen), 'not one moment: %r' % seen)
    check(seen[-1][0] > seen[0][0], 'nothing was written')
