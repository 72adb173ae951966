# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to the disks while a backup is active: they come and go, are
resized, get snapshots and jobs.

Whatever happens, a backup either goes on and is right or fails and says so,
and the next one works."""

from during import (BUS, SIZE, SLOW, clean, goes_on, job, one_disk, refused,
                    scsi, wait_event)
from harness import CLUSTER, Reader, check, disk, equal, pattern


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


def test_snapshot_load_below_during(t):
    """Nor by a node below the one that is backed up, such as the image below a
    filter."""
    data = pattern(SIZE)
    t.img('convert', '-O', 'qcow2', t.raw('a', data), t.path('b'))
    vm = t.machine('-object', 'throttle-group,id=tg', '-blockdev',
                   'driver=throttle,node-name=d0-node,throttle-group=tg,'
                   'file.driver=qcow2,file.node-name=image,'
                   'file.file.driver=file,file.file.filename=' + t.path('b'),
                   '-device', 'virtio-blk-pci,id=d0,drive=d0-node')
    names = {'vmstate': 'image', 'devices': ['image']}
    equal(job(vm, 'snapshot-save', tag='x', **names), None, 'snapshot-save')
    vm.io('d0', 'write -P 3 0 1M')
    data[:1 << 20] = b'\3' * (1 << 20)
    before = vm.leftovers()
    reader = Reader(vm.to_pipe(speed=SLOW))
    error = job(vm, 'snapshot-load', tag='x', **names)
    check(error and 'dirty bitmaps' in error, 'snapshot-load: %r' % error)
    vm.qmp.cmd('cont')
    goes_on(vm, reader, data)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(not any(node.get('dirty-bitmaps') for node in
                  vm.qmp.cmd('query-named-block-nodes')), 'dirty bitmaps')
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
