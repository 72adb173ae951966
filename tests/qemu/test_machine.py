# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to the machine while a backup is active: it is stopped, reset
and migrated, and writes a lot; and many backups of one machine."""

import json
import os
import subprocess
import threading
import time

from during import (SIZE, SLACK, SLOW, TIMEOUT, clean, goes_on, incomplete,
                    one_disk, refused, to_small_pipe, wait_event,
                    wait_migration)
from harness import CLUSTER, Nbd, Reader, check, disk, equal, pattern
from unpatched import parts, wrong_clusters


# The machine stops, or moves


def test_stop_and_continue_during(t):
    """A guest that is stopped and continued 100 times, writing in between,
    does not disturb a backup."""
    vm, data, _before = one_disk(t)
    vm.io('d0', 'write -P 1 2M 1M')
    data[2 << 20:3 << 20] = b'\1' * (1 << 20)
    reader = Reader(vm.to_pipe(speed=SIZE))
    for i in range(100):
        vm.qmp.cmd('stop')
        vm.qmp.cmd('cont')
        vm.io('d0', 'write -P 0x%x %d 512' % (i + 2, (99 - i) * 40960))
    check(reader.result().device('d0').image == data, 'wrong contents')
    vm.end('done')


def test_reset_during(t):
    """A reset of the machine does not disturb a backup."""
    vm, data, _before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    for _ in range(20):
        vm.qmp.cmd('system_reset')
        vm.io('d0', 'write -P 1 1M 1M')
    goes_on(vm, reader, data)


def test_migrate_to_file_during(t):
    """A migration during a backup fails, because the disks cannot be given up.
    The guest and the backup go on; the next backup and migration work."""
    vm, data, _before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.io('d0', 'write -P 1 1M 1M')
    target = 'exec:cat > ' + t.path('state')
    vm.qmp.cmd('migrate', uri=target)
    equal(wait_migration(vm), 'failed', 'migration')
    equal(vm.qmp.cmd('query-status')['running'], True, 'running')
    vm.io('d0', 'write -P 2 2M 1M')
    goes_on(vm, reader, data)
    data[1 << 20:2 << 20] = b'\1' * (1 << 20)
    data[2 << 20:3 << 20] = b'\2' * (1 << 20)
    check(vm.whole_backup().device('d0').image == data, 'the next backup')
    vm.qmp.cmd('migrate', uri=target)
    equal(wait_migration(vm), 'completed', 'migration')


def test_migrate_to_machine_during(t):
    """The same with another QEMU, which gets nothing of the machine; after the
    end of the backup it gets it, and can back it up."""
    data = pattern(SIZE)
    args = disk('d0', t.raw('a', data))
    vm = t.machine(*args)
    reader = Reader(vm.to_pipe(speed=SLOW))
    path = t.path('migration')
    first = t.machine(*args, '-incoming', 'unix:' + path)
    vm.qmp.cmd('migrate', uri='unix:' + path)
    equal(wait_migration(vm), 'failed', 'migration')
    first.process.wait(10)
    equal(vm.qmp.cmd('query-status')['running'], True, 'running')
    vm.io('d0', 'write -P 1 1M 1M')
    goes_on(vm, reader, data)
    data[1 << 20:2 << 20] = b'\1' * (1 << 20)
    second = t.machine(*args, '-incoming', 'unix:%s2' % path)
    vm.qmp.cmd('migrate', uri='unix:%s2' % path)
    equal(wait_migration(vm), 'completed', 'migration')
    wait_event(second, 'RESUME')
    check(second.whole_backup().device('d0').image == data, 'the next backup')


def test_migrate_unused_during(t):
    """A migration does not give up the disks that no device uses, as with any
    backup job.  So it completes, but with fleecing; also one that takes bitmaps
    along, although ours may be of a disk that is larger than what a migration
    can count the sectors of: it must neither hang nor end QEMU."""
    t.img('create', '-q', '-f', 'qcow2', t.path('a'), str(2560 << 30))
    t.qemu_io('qcow2', t.path('a'), 'write -q -P 1 0 16M')
    vm = t.machine('-blockdev', 'driver=qcow2,node-name=d0,file.driver=file,'
                   'file.node-name=d0-file,file.filename=' + t.path('a'))
    vm.qmp.cmd('migrate-set-capabilities', capabilities=[
        {'capability': 'dirty-bitmaps', 'state': True}])
    before = vm.leftovers()
    source = vm.to_pipe(devlist='d0', speed=SLOW)
    reader = subprocess.Popen('cat', stdin=source, stdout=subprocess.DEVNULL)
    source.close()
    vm.qmp.cmd('migrate', uri='exec:cat > ' + t.path('state'))
    equal(wait_migration(vm), 'failed' if t.fleecing else 'completed',
          'migration')
    equal(vm.status()['status'], 'active', 'status')
    vm.qmp.cmd('backup-cancel')
    vm.end('cancelled')
    equal(reader.wait(10), 0, 'reader')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_busy_export(t):
    """Backups of a disk whose only user is an export with an iothread, which is
    written to all the time, end."""
    vm = t.machine('-object', 'iothread,id=t0', '-blockdev',
                   'driver=file,node-name=d0,filename=' +
                   t.raw('a', pattern(SIZE)))
    path = t.path('nbd')
    vm.qmp.cmd('nbd-server-start',
               addr={'type': 'unix', 'data': {'path': path}})
    vm.qmp.cmd('block-export-add', type='nbd', id='e', node_name='d0',
               writable=True, iothread='t0')
    over = threading.Event()
    # None comes during a drain, which hangs then: QEMU's own fault.
    clients = [Nbd(path, 'd0') for _ in range(4)]
    for client in clients:
        client.write(0, bytes(512))

    def write(client):
        while not over.is_set():
            client.write(0, bytes(512))

    writers = [threading.Thread(target=write, args=(client,), daemon=True)
               for client in clients]
    for writer in writers:
        writer.start()
    for _ in range(20):
        vm.whole_backup(devlist='d0')
    check(all(writer.is_alive() for writer in writers), 'a writer has ended')
    over.set()
    for writer in writers:
        writer.join(10)


def test_not_our_disks(t):
    """Before a migration has come in, and after one has gone out, the disks
    are another QEMU's and a backup is refused."""
    vm, data, _before = one_disk(t)
    vm.qmp.cmd('migrate', uri='exec:cat > ' + t.path('state'))
    equal(wait_migration(vm), 'completed', 'migration')
    target = t.machine(*disk('d0', t.path('a')), '-incoming', 'defer')
    for machine in (vm, target):
        before = machine.leftovers()
        refused("Inactive '" + ('' if t.fleecing else 'd0-node'),
                machine.whole_backup)
        equal(machine.leftovers(), before, 'nodes, jobs, descriptors')
    target.qmp.cmd('migrate-incoming',
                   uri='exec:cat ' + t.path('state'))
    wait_event(target, 'RESUME')
    check(target.whole_backup().device('d0').image == data, 'the backup')


# Many backups, many writes


def test_writes_in_places_during(t):
    """What the guest writes in many small places, with others in between, is
    not in the backup."""
    size = 8 << 20
    data = pattern(size)
    data[3 << 20:4 << 20] = bytes(1 << 20)
    t.img('convert', '-O', 'qcow2', t.raw('a', data), t.path('b'))
    vm = t.machine(*disk('d0', t.path('a')), *disk('d1', t.path('b'), 'qcow2'))
    reader = Reader(vm.to_pipe(speed=SLOW))
    for number, write in enumerate(parts(size)):
        vm.io('d%d' % (number % 2), write)
    equal(vm.status()['status'], 'active', 'status')
    vm.full_speed()
    for name in ('d0', 'd1'):
        equal(wrong_clusters(reader.result().device(name).image, data), [],
              name)
    vm.end('done')


def test_fifty_backups(t):
    """Backups leave nothing in QEMU, however many there are."""
    size = 1 << 20
    data = pattern(size)
    vm = t.machine('-object', 'iothread,id=io0',
                   *disk('d0', t.raw('a', data), iothread='io0'),
                   *disk('d1', t.raw('b', data)))

    def state():
        pid = vm.process.pid
        with open('/proc/%d/status' % pid, encoding='ascii') as file:
            kib = [int(line.split()[1]) for line in file
                   if line.startswith('VmRSS')][0]
        return vm.leftovers(), len(os.listdir('/proc/%d/fd' % pid)), kib

    for i in range(50):
        reader = Reader(vm.to_pipe())
        vm.io('d0', 'write -P 0x%x %d 4k' % (i + 1, i * 20480))
        check(reader.result().device('d0').image == data, 'backup %d' % i)
        vm.end('done')
        data[i * 20480:i * 20480 + 4096] = bytes([i + 1]) * 4096
        if i == 9:
            warm = state()
    end = state()
    equal(end[:2], warm[:2], 'nodes, jobs, pipes; descriptors')
    check(end[2] < warm[2] + 4096, 'grown from %d to %d KiB' %
          (warm[2], end[2]))


def test_one_cluster_during(t):
    """32 guest writes at once to one cluster keep its old contents."""
    for iothread in (None, 'io0'):
        data = pattern(SIZE)
        vm = t.machine('-object', 'iothread,id=io0',
                       *disk('d0', t.raw('of-%s' % iothread, data),
                             iothread=iothread))
        reader = Reader(vm.to_pipe(speed=SLOW))
        for i in range(32):
            vm.io('d0', 'aio_write -q -P 0x%x %d %d' %
                  (i + 1, (40 * CLUSTER) + i * 1024, 32768))
        vm.io('d0', 'aio_flush')
        goes_on(vm, reader, data)


def test_several_iothreads_during(t):
    """A disk whose queues are in several iothreads is backed up, and given up
    with a reader that stops, like any other."""
    data = pattern(SIZE)
    device = {'driver': 'virtio-blk-pci', 'id': 'd0', 'num-queues': 2,
              'drive': 'd0-node', 'iothread-vq-mapping': [
                  {'iothread': 'io0'}, {'iothread': 'io1'}]}
    vm = t.machine('-object', 'iothread,id=io0', '-object', 'iothread,id=io1',
                   '-blockdev', 'driver=file,node-name=d0-node,filename=' +
                   t.raw('a', data), '-device', json.dumps(device))
    pipes = vm.leftovers()[2]
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.io('d0', 'write -P 1 2M 64k')
    goes_on(vm, reader, data)
    source = to_small_pipe(vm, timeout=TIMEOUT)
    start = time.monotonic()
    vm.io('d0', 'aio_write -P 2 3M 64k')
    vm.qmp.cmd('stop')
    vm.qmp.cmd('cont')
    vm.io('d0', 'aio_flush')
    check(time.monotonic() - start < TIMEOUT + SLACK, 'it took too long')
    vm.end('error')
    incomplete(source)
    clean(vm, pipes)
