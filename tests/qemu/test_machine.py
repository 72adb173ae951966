# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to the machine while a backup is active: disks come and go, it
is stopped, reset, migrated.

Whatever happens, a backup either goes on and is right or fails and says so,
and the next one works."""

import json
import os
import select
import socket
import subprocess
import time

from harness import (CLUSTER, Failure, Qmp, QmpError, Reader, check, disk,
                     equal, pattern)
from stream import Aborted
from test_failure import SIZE, SLOW, incomplete, one_disk, to_small_pipe

TIMEOUT = 1     # seconds; how long a reader may stall here
SLACK = 1.5     # for a busy test machine


def scsi(name, path):
    """Like disk(), but of a bus from which a disk goes without a guest's
    consent"""
    return ['-blockdev', 'driver=file,node-name=%s-node,filename=%s' %
            (name, path), '-device', 'scsi-hd,id=%s,drive=%s-node' %
            (name, name)]


BUS = ['-device', 'virtio-scsi-pci']


def clean(vm, pipes):
    """Nothing is left of a backup, whatever happened to the disks"""
    kinds = [node['drv'] for node in vm.qmp.cmd('query-named-block-nodes')]
    check('backup-dump' not in kinds and 'copy-before-write' not in kinds,
          'nodes are left: %r' % kinds)
    equal(vm.leftovers()[1:], ([], pipes), 'jobs, descriptors')


def refused(text, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except QmpError as err:
        check(text in str(err), '%r is not in %r' % (text, str(err)))
    else:
        raise Failure('no error, expected: ' + text)


def wait_event(vm, name, count=1):
    deadline = time.monotonic() + 10
    while sum(event['event'] == name for event in vm.qmp.events) < count:
        check(time.monotonic() < deadline, 'no event ' + name)
        vm.qmp.cmd('query-status')
        time.sleep(0.01)


def job(vm, command, **arguments):
    """Run a job to its end and return its error, or None"""
    vm.qmp.cmd(command, job_id='other', **arguments)
    deadline = time.monotonic() + 10
    while True:
        info = [i for i in vm.qmp.cmd('query-jobs') if i['id'] == 'other'][0]
        if info['status'] == 'concluded':
            vm.qmp.cmd('job-dismiss', id_='other')
            return info.get('error')
        check(time.monotonic() < deadline, 'the job does not end')
        time.sleep(0.01)


def goes_on(vm, reader, data, name='d0'):
    """The backup that is active ends well, and has these contents"""
    equal(vm.status()['status'], 'active', 'status')
    vm.full_speed()
    check(reader.result().device(name).image == data, 'wrong contents')
    vm.end('done')


# A reader that stops


def within_timeout(t, operation):
    """The operation and a guest write end soon after the timeout, while nobody
    reads a backup of d0 and d1; d2 is not in it."""
    data = pattern(SIZE)
    vm = t.machine('-object', 'iothread,id=io0',
                   *disk('d0', t.raw('a', data), iothread='io0'), *BUS,
                   *scsi('d1', t.raw('b', pattern(SIZE, 2))),
                   *scsi('d2', t.raw('c', pattern(SIZE, 3))))
    pipes = vm.leftovers()[2]
    start = time.monotonic()
    source = to_small_pipe(vm, timeout=TIMEOUT, devlist='d0,d1')
    vm.io('d0', 'aio_write -P 4 2M 64k')
    operation(vm)
    vm.io('d0', 'aio_flush')
    seconds = time.monotonic() - start
    check(TIMEOUT / 2 < seconds < TIMEOUT + SLACK, 'it took %.2f s' % seconds)
    info = vm.end('error')
    check('within %d seconds' % TIMEOUT in info['errmsg'], info['errmsg'])
    incomplete(source)
    clean(vm, pipes)
    data[2 << 20:(2 << 20) + CLUSTER] = b'\4' * CLUSTER
    result = vm.whole_backup(devlist='d0')
    check(result.device('d0').image == data, 'the next backup')
    clean(vm, pipes)


def test_unplug_own_disk_while_reader_stops(t):
    """A disk of a backup that nobody reads can be unplugged."""
    def operation(vm):
        vm.qmp.cmd('device_del', id_='d1')
        wait_event(vm, 'DEVICE_DELETED')
    within_timeout(t, operation)


def test_unplug_other_disk_while_reader_stops(t):
    """Another disk can be unplugged."""
    def operation(vm):
        vm.qmp.cmd('device_del', id_='d2')
        wait_event(vm, 'DEVICE_DELETED')
        vm.qmp.cmd('blockdev-del', node_name='d2-node')
    within_timeout(t, operation)


def test_plug_while_reader_stops(t):
    """A new disk can be plugged in, and written."""
    def operation(vm):
        vm.qmp.cmd('blockdev-add', driver='file', node_name='new-node',
                   filename=t.raw('new', bytes(SIZE)))
        vm.qmp.cmd('device_add', driver='scsi-hd', id_='new',
                   drive='new-node')
        vm.io('/machine/peripheral/new', 'write -P 1 0 1M')
    within_timeout(t, operation)


def test_nodes_while_reader_stops(t):
    """Nodes can be added and deleted."""
    def operation(vm):
        vm.qmp.cmd('blockdev-add', driver='null-co', node_name='new')
        vm.qmp.cmd('blockdev-del', node_name='new')
    within_timeout(t, operation)


def test_resize_while_reader_stops(t):
    """Another disk can be resized."""
    def operation(vm):
        vm.qmp.cmd('block_resize', node_name='d2-node', size=2 * SIZE)
    within_timeout(t, operation)


def test_snapshot_while_reader_stops(t):
    """A snapshot of another disk can be taken."""
    def operation(vm):
        vm.qmp.cmd('blockdev-snapshot-sync', node_name='d2-node',
                   snapshot_file=t.path('overlay'),
                   snapshot_node_name='overlay', format='qcow2')
    within_timeout(t, operation)


def test_stop_while_reader_stops(t):
    """The guest can be stopped and continued."""
    def operation(vm):
        vm.qmp.cmd('stop')
        vm.qmp.cmd('cont')
    within_timeout(t, operation)


def test_reset_while_reader_stops(t):
    """The guest can be reset."""
    within_timeout(t, lambda vm: vm.qmp.cmd('system_reset'))


def test_quit_in_write_while_reader_stops(t):
    """QEMU can be ended while a guest write waits for the reader, with disks
    in iothreads."""
    vm = t.machine('-object', 'iothread,id=io0', '-object', 'iothread,id=io1',
                   *disk('d0', t.raw('a', pattern(SIZE)), iothread='io0'),
                   *disk('d1', t.raw('b', pattern(SIZE)), iothread='io1'))
    source = to_small_pipe(vm, timeout=TIMEOUT)
    vm.io('d0', 'aio_write -P 4 2M 64k')
    vm.io('d1', 'aio_write -P 4 2M 64k')
    start = time.monotonic()
    vm.qmp.send('quit')
    equal(vm.process.wait(10), 0, 'exit code')
    seconds = time.monotonic() - start
    check(seconds < TIMEOUT + SLACK, 'it took %.2f s' % seconds)
    incomplete(source)
    check(open(t.path('a'), 'rb').read()[2 << 20:(2 << 20) + CLUSTER] ==
          b'\4' * CLUSTER, 'the write of the guest was lost')


def test_terminate_while_reader_stops(t):
    """SIGTERM ends QEMU, too."""
    vm, _data, _before = one_disk(t)
    source = to_small_pipe(vm, timeout=TIMEOUT)
    start = time.monotonic()
    vm.process.terminate()
    equal(vm.process.wait(10), 0, 'exit code')
    check(time.monotonic() - start < TIMEOUT + SLACK, 'it took too long')
    incomplete(source)


def test_quit_without_timeout(t):
    """Without a timeout QEMU cannot end before its reader does, or the backup
    is cancelled out of band."""
    vm, _data, _before = one_disk(t)
    source = to_small_pipe(vm, timeout=0)
    vm.io('d0', 'aio_write -P 4 2M 64k')
    vm.qmp.send('quit')
    try:
        vm.process.wait(0.5)
    except subprocess.TimeoutExpired:
        pass
    else:
        raise Failure('QEMU has ended')
    vm.qmp.wait(vm.qmp.send('backup-cancel', oob=True))
    equal(vm.process.wait(10), 0, 'exit code')
    incomplete(source)


# Disks come and go


def test_plug_during(t):
    """A disk that is plugged in during a backup is not in it, but in the next
    one."""
    data = pattern(SIZE)
    vm = t.machine(*BUS, *disk('d0', t.raw('a', data)))
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('blockdev-add', driver='file', node_name='new-node',
               filename=t.raw('new', bytes(SIZE)))
    vm.qmp.cmd('device_add', driver='scsi-hd', id_='new', drive='new-node')
    vm.io('/machine/peripheral/new', 'write -P 1 0 1M')
    equal(len(vm.status()['devices']), 1, 'devices')
    goes_on(vm, reader, data)
    equal(sorted(d.name for d in reader.stream.devices.values()), ['d0'],
          'devices')
    result = vm.whole_backup()
    equal(bytes(result.device('new').image[:2 << 20]),
          b'\1' * (1 << 20) + bytes(1 << 20), 'the new disk')


def test_unplug_during(t):
    """A disk of -blockdev that is unplugged during a backup stays in it to the
    end; its node can be deleted after that."""
    data = pattern(SIZE)
    vm = t.machine(*BUS, *scsi('d0', t.raw('a', data)),
                   *disk('d1', t.raw('b', pattern(CLUSTER))))
    pipes = vm.leftovers()[2]
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.io('/machine/peripheral/d0', 'write -P 1 1M 1M')
    vm.qmp.cmd('device_del', id_='d0')
    wait_event(vm, 'DEVICE_DELETED')
    refused('in use', vm.qmp.cmd, 'blockdev-del', node_name='d0-node')
    goes_on(vm, reader, data)
    vm.qmp.cmd('blockdev-del', node_name='d0-node')
    clean(vm, pipes)
    equal([d.name for d in vm.whole_backup().devices.values()], ['d1'],
          'the next backup')


def test_unplug_virtio_during(t):
    """The same for a PCI disk."""
    data = pattern(SIZE)
    vm = t.machine('-machine', 'pc', *disk('d0', t.raw('a', data)),
                   *disk('d1', t.raw('b', pattern(CLUSTER))))
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('device_del', id_='d0')
    vm.qmp.cmd('system_reset')      # the consent of a guest
    wait_event(vm, 'DEVICE_DELETED', 2)     # one for each of its objects
    goes_on(vm, reader, data)
    equal([d.name for d in vm.whole_backup().devices.values()], ['d1'],
          'the next backup')


def test_unplug_drive_during(t):
    """A disk of -drive that is unplugged takes its -drive with it, which
    cancels the backup."""
    data = pattern(CLUSTER)
    vm = t.machine(*BUS, *disk('d1', t.raw('b', data)), '-drive',
                   'if=none,id=drive0,format=raw,file=' +
                   t.raw('a', pattern(SIZE)),
                   '-device', 'scsi-hd,id=d0,drive=drive0')
    pipes = vm.leftovers()[2]
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('device_del', id_='d0')
    wait_event(vm, 'DEVICE_DELETED')
    info = vm.end('cancelled')
    equal(info['errmsg'], "the job of device 'drive0' was cancelled", 'errmsg')
    reader.join(5)
    equal(getattr(reader.error, 'reason', None), 2, 'reason of ABORT')
    clean(vm, pipes)
    result = vm.whole_backup()
    equal([d.name for d in result.devices.values()], ['d1'], 'devices')
    check(result.device('d1').image == data, 'the next backup')


def test_resize_during(t):
    """A disk cannot be resized while it is in a backup."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    for size in (SIZE // 2, SIZE * 2):
        refused("'resize'", vm.qmp.cmd, 'block_resize', node_name='d0-node',
                size=size)
    goes_on(vm, reader, data)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.qmp.cmd('block_resize', node_name='d0-node', size=SIZE * 2)
    check(vm.whole_backup().device('d0').image == data + bytes(SIZE),
          'the next backup')


def test_resize_drive_during(t):
    """Nor can one of -drive."""
    data = pattern(SIZE)
    vm = t.machine('-drive', 'if=none,id=drive0,format=raw,file=' +
                   t.raw('a', data), '-device', 'virtio-blk-pci,drive=drive0')
    reader = Reader(vm.to_pipe(speed=SLOW))
    refused('is busy', vm.qmp.cmd, 'block_resize', device='drive0',
            size=SIZE * 2)
    goes_on(vm, reader, data, 'drive0')


def test_eject_during(t):
    """A medium cannot be taken out while it is in a backup."""
    data = pattern(1474560)
    vm = t.machine('-device', 'isa-fdc,id=fdc', '-blockdev',
                   'driver=file,node-name=medium,filename=' +
                   t.raw('a', data), '-device', 'floppy,id=d0,drive=medium')
    reader = Reader(vm.to_pipe(speed=SLOW))
    refused('is busy', vm.qmp.cmd, 'eject', id_='d0')
    refused('is busy', vm.qmp.cmd, 'eject', id_='d0', force=True)
    refused('is busy', vm.qmp.cmd, 'blockdev-change-medium', id_='d0',
            filename=t.raw('b', bytes(1474560)))
    vm.qmp.cmd('blockdev-open-tray', id_='d0', force=True)
    refused('is busy', vm.qmp.cmd, 'blockdev-remove-medium', id_='d0')
    goes_on(vm, reader, data)
    vm.qmp.cmd('blockdev-remove-medium', id_='d0')
    refused('no medium', vm.whole_backup, devlist='d0')


# Other things that are done to disks


def qcow2_disk(t):
    data = pattern(SIZE)
    t.img('convert', '-O', 'qcow2', t.raw('a', data), t.path('b'))
    return t.machine(*disk('d0', t.path('b'), 'qcow2')), data


def test_external_snapshot_during(t):
    """A snapshot that is taken during a backup, below its filter, does not
    disturb it; the next one has what was written to the new layer."""
    vm, data = qcow2_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('blockdev-snapshot-sync', node_name='d0-node',
               snapshot_file=t.path('overlay'), format='qcow2',
               snapshot_node_name='overlay')
    vm.io('d0', 'write -P 3 1M 1M')
    vm.io('d0', 'write -z 3M 64k')
    goes_on(vm, reader, data)
    data[1 << 20:2 << 20] = b'\3' * (1 << 20)
    data[3 << 20:(3 << 20) + CLUSTER] = bytes(CLUSTER)
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


def test_vm_snapshot_during(t):
    """savevm, loadvm and delvm are refused during a backup."""
    vm, data = qcow2_disk(t)
    equal(vm.hmp('savevm before'), '', 'savevm')
    vm.io('d0', 'write -P 3 0 1M')
    data[:1 << 20] = b'\3' * (1 << 20)
    reader = Reader(vm.to_pipe(speed=SLOW))
    for line in ('savevm during', 'loadvm before', 'delvm before'):
        out = vm.hmp(line)
        check('does not support snapshots' in out, '%s: %s' % (line, out))
    # loadvm stops the machine before it looks at the disks
    vm.qmp.cmd('cont')
    goes_on(vm, reader, data)
    vm.delete_images()      # they are writable, and have no snapshots
    equal(vm.hmp('savevm after'), '', 'savevm')
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


def test_internal_snapshot_during(t):
    """Internal snapshots of a node are refused, or do no harm, in a backup."""
    vm, data = qcow2_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    refused('root block node', vm.qmp.cmd, 'blockdev-snapshot-internal-sync',
            device='d0-node', name_='x')
    names = {'vmstate': 'd0-node', 'devices': ['d0-node']}
    job(vm, 'snapshot-save', tag='x', **names)
    vm.io('d0', 'write -P 3 1M 1M')
    job(vm, 'snapshot-delete', tag='x', devices=['d0-node'])
    goes_on(vm, reader, data)


def test_snapshot_load_during(t):
    """A disk cannot be reverted to a snapshot during a backup, also not by the
    node that is below the backup's filter."""
    vm, data = qcow2_disk(t)
    names = {'vmstate': 'd0-node', 'devices': ['d0-node']}
    equal(job(vm, 'snapshot-save', tag='x', **names), None, 'snapshot-save')
    vm.io('d0', 'write -P 3 0 1M')
    data[:1 << 20] = b'\3' * (1 << 20)
    reader = Reader(vm.to_pipe(speed=SLOW))
    error = job(vm, 'snapshot-load', tag='x', **names)
    check(error and 'dirty bitmaps' in error, 'snapshot-load: %r' % error)
    # it stops the machine before it looks at the disks
    vm.qmp.cmd('cont')
    goes_on(vm, reader, data)
    equal(job(vm, 'snapshot-load', tag='x', **names), None, 'snapshot-load')
    check(vm.whole_backup().device('d0').image == pattern(SIZE),
          'the next backup')


def test_commit_and_stream_during(t):
    """A layer cannot be committed during a backup; its backing file can be
    streamed into it."""
    data = pattern(SIZE)
    t.img('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', t.raw('a', data),
          t.path('b'))
    vm = t.machine(*disk('d0', t.path('b'), 'qcow2'))
    vm.io('d0', 'write -P 2 0 1M')
    data[:1 << 20] = b'\2' * (1 << 20)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.io('d0', 'write -P 3 1M 1M')
    for command in ('block-commit', 'drive-mirror'):
        arguments = {'block-commit': {},
                     'drive-mirror': {'target': t.path('c'), 'sync': 'full'}}
        refused('root block node', vm.qmp.cmd, command, device='d0-node',
                job_id='other', **arguments[command])
    vm.hmp('commit all')
    equal(job(vm, 'block-stream', device='d0-node', auto_dismiss=False), None,
          'block-stream')
    goes_on(vm, reader, data)
    data[1 << 20:2 << 20] = b'\3' * (1 << 20)
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


def test_drive_commands_during(t):
    """The human monitor's commands for a -drive are refused during a
    backup."""
    data = pattern(SIZE)
    t.img('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', t.raw('a', data),
          t.path('b'))
    vm = t.machine('-drive', 'if=none,id=drive0,format=qcow2,file=' +
                   t.path('b'), '-device', 'virtio-blk-pci,drive=drive0')
    reader = Reader(vm.to_pipe(speed=SLOW))
    for line, text in (
            ('commit drive0', 'not supported'),
            ('snapshot_blkdev drive0 %s qcow2' % t.path('c'), 'is busy'),
            ('snapshot_blkdev_internal drive0 x', 'root block node'),
            ('drive_mirror drive0 ' + t.path('c'), 'root block node'),
            ('block_stream drive0', 'is busy'),
            ('drive_del drive0', 'is busy')):
        out = vm.hmp(line)
        check(text in out, '%s: %r' % (line, out))
    goes_on(vm, reader, data, 'drive0')
    check(vm.whole_backup().device('drive0').image == data, 'the next backup')


def test_bitmap_during(t):
    """The dirty bitmap of a user sees what the guest writes during a backup,
    and nothing of the backup."""
    vm, data = qcow2_disk(t)

    def bitmaps():
        return [(bitmap.get('name'), bitmap['count'])
                for node in vm.qmp.cmd('query-named-block-nodes')
                if node['node-name'] == 'd0-node'
                for bitmap in node.get('dirty-bitmaps', [])]

    vm.qmp.cmd('block-dirty-bitmap-add', node='d0-node', name='user',
               persistent=True)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.io('d0', 'write -P 1 2M 64k')
    goes_on(vm, reader, data)
    equal(bitmaps(), [('user', CLUSTER)], 'bitmaps')


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


# The nodes and jobs of the backup itself


def test_write_to_dump_node(t):
    """A user who writes to the node of a backup makes it fail, nothing
    else."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    out = vm.hmp('qemu-io backup-dump1 "write -P 1 1049088 512"')
    check('Invalid argument' in out + vm.new_output(), out)
    vm.hmp('qemu-io backup-dump1 "write -P 1 3M 64k"')
    vm.full_speed()
    info = vm.end('error')
    equal(info['errmsg'], "device 'd0': cluster 48 was written twice",
          'errmsg')
    reader.join(5)
    equal(getattr(reader.error, 'reason', None), 4, 'reason of ABORT')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


def test_hold_dump_node(t):
    """A user who holds the node of a backup delays neither its end nor the end
    of file, but is in the way of the next one."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('blockdev-add', driver='raw', node_name='user',
               file='backup-dump1')
    goes_on(vm, reader, data)
    for request in ('write -P 1 0 64k', 'write -z 0 64k', 'read 0 64k',
                    'flush'):
        vm.hmp('qemu-io user "%s"' % request)
    refused("'backup-dump1'", vm.to_pipe)
    vm.qmp.cmd('blockdev-del', node_name='user')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


def test_change_dump_node(t):
    """Most of what can be done to a node is refused for that of a backup, and
    the rest does no harm."""
    vm, data, before = one_disk(t)
    vm.qmp.cmd('blockdev-add', driver='null-co', node_name='null', size=SIZE)
    reader = Reader(vm.to_pipe(speed=SLOW))
    for command, arguments in (
            ('blockdev-del', {'node_name': 'backup-dump1'}),
            ('block_resize', {'node_name': 'backup-dump1', 'size': 512}),
            ('blockdev-backup', {'job_id': 'other', 'device': 'null',
                                 'target': 'backup-dump1', 'sync': 'full'}),
            ('blockdev-mirror', {'job_id': 'other', 'device': 'null',
                                 'target': 'backup-dump1', 'sync': 'full'}),
            ('blockdev-snapshot', {'node': 'backup-dump1',
                                   'overlay': 'null'})):
        refused('is busy', vm.qmp.cmd, command, **arguments)
    vm.qmp.cmd('block-dirty-bitmap-add', node='backup-dump1', name='bitmap')
    vm.qmp.cmd('block-set-write-threshold', node_name='backup-dump1',
               write_threshold=1)
    for command in ('job-complete', 'job-finalize', 'job-dismiss'):
        refused('cannot accept', vm.qmp.cmd, command, id_='backup-dump1')
    vm.qmp.cmd('job-pause', id_='backup-dump1')
    vm.io('d0', 'write -P 1 1M 1M')
    vm.qmp.cmd('job-resume', id_='backup-dump1')
    goes_on(vm, reader, data)
    vm.qmp.cmd('blockdev-del', node_name='null')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


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


def wait_migration(vm):
    deadline = time.monotonic() + 20
    while True:
        status = vm.qmp.cmd('query-migrate').get('status')
        if status in ('completed', 'failed'):
            return status
        check(time.monotonic() < deadline, 'the migration does not end')
        time.sleep(0.02)


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


# Monitors


def second_monitor(t):
    """Arguments for another monitor, and a function that connects to it"""
    path = t.path('qmp')

    def connect():
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        qmp = Qmp(sock)
        t.cleanup(qmp.close)
        return qmp

    return ['-qmp', 'unix:%s,server=on,wait=off' % path], connect


def test_two_monitors(t):
    """A backup is seen, and can be cancelled, from every monitor; a second one
    is refused there, with its descriptor closed."""
    args, connect = second_monitor(t)
    vm = t.machine(*args, *disk('d0', t.raw('a', pattern(SIZE))))
    other = connect()
    reader = Reader(vm.to_pipe(speed=SLOW))
    source, target = os.pipe()
    other.getfd(target)
    os.close(target)
    refused('already running', other.cmd, 'backup', backup_file='fd:stream')
    equal(os.read(source, 1), b'', 'bytes in the pipe')
    os.close(source)
    equal(other.cmd('query-backup')['status'], 'active', 'status')
    other.cmd('backup-cancel')
    vm.end('cancelled')
    reader.join(5)
    check(isinstance(reader.error, Aborted), repr(reader.error))


def test_descriptor_of_other_monitor(t):
    """A descriptor is known by name only on the monitor that was given it."""
    args, connect = second_monitor(t)
    data = pattern(CLUSTER)
    vm = t.machine(*args, *disk('d0', t.raw('a', data)))
    other = connect()
    source, target = os.pipe()
    other.getfd(target)
    os.close(target)
    refused("named 'stream' has not been found", vm.backup)
    other.cmd('backup', backup_file='fd:stream')
    check(Reader(os.fdopen(source, 'rb', 0)).result().device('d0').image ==
          data, 'wrong contents')
    vm.end('done')


def test_monitor_vanishes(t):
    """A client that vanishes after the start of a backup does not end it."""
    args, connect = second_monitor(t)
    data = pattern(SIZE)
    vm = t.machine(*args, *disk('d0', t.raw('a', data)))
    other = connect()
    source, target = os.pipe()
    other.getfd(target)
    os.close(target)
    other.cmd('backup', backup_file='fd:stream', speed=SLOW)
    other.close()
    reader = Reader(os.fdopen(source, 'rb', 0))
    goes_on(vm, reader, data)


def test_monitor_vanishes_before(t):
    """A descriptor that was passed with getfd, but not used, outlives its
    client: the reader gets end of file only when the next one closes it, or
    passes another one under its name."""
    args, connect = second_monitor(t)
    vm = t.machine(*args, *disk('d0', t.raw('a', pattern(CLUSTER))))

    def abandoned():
        other = connect()
        source, target = os.pipe()
        other.getfd(target)
        os.close(target)
        other.close()
        return source

    first = abandoned()
    check(not select.select([first], [], [], 0.3)[0], 'it was closed')
    second = abandoned()
    equal(os.read(first, 1), b'', 'the first pipe')
    connect().cmd('closefd', fdname='stream')
    equal(os.read(second, 1), b'', 'the second pipe')
    equal(vm.status(), {'status': 'none'}, 'status')


def test_query_while_main_loop_waits(t):
    """query-backup, out of band, is answered at once on every monitor while
    the main loop waits for the reader."""
    args, connect = second_monitor(t)
    vm = t.machine(*args, *disk('d0', t.raw('a', pattern(SIZE))))
    other = connect()
    source = to_small_pipe(vm, timeout=TIMEOUT + 1)
    start = time.monotonic()
    stop = vm.qmp.send('stop')
    time.sleep(0.2)
    for qmp in (vm.qmp, other):
        before = time.monotonic()
        info = qmp.wait(qmp.send('query-backup', oob=True))
        check(time.monotonic() - before < 0.5, 'the query had to wait')
        equal(info['status'], 'active', 'status')
    vm.qmp.wait(stop)
    check(time.monotonic() - start > 1, 'nothing had to wait')
    vm.end('error')
    incomplete(source)
