# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in the stream of a backup that nothing disturbs."""

import fcntl
import os
import random
import socket
import time

from harness import CLUSTER, b64, check, disk, equal, pattern, Reader
from stream import DATA, ZERO, Stream


def test_raw(t):
    """A raw disk arrives as it is."""
    data = pattern(3 * 1024 * 1024)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    equal(bytes(vm.whole_backup().device('d0').image), bytes(data), 'disk')


def test_sizes(t):
    """Disks that do not end with a cluster arrive whole."""
    sizes = [512, CLUSTER - 512, CLUSTER, CLUSTER + 512, 1024 * 1024 + 512]
    args, expected = [], {}
    for i, size in enumerate(sizes):
        expected['d%d' % i] = bytes(pattern(size, i))
        args += disk('d%d' % i, t.raw('a%d' % i, expected['d%d' % i]))
    result = t.machine(*args).whole_backup()
    for name, data in expected.items():
        equal(bytes(result.device(name).image), data, name)


def test_empty_disk(t):
    """A disk of size 0 does not disturb the others."""
    data = pattern(CLUSTER)
    daemon_disks = ['--blockdev', 'driver=null-co,node-name=none,size=0',
                    '--blockdev', 'driver=file,node-name=one,filename=' +
                    t.raw('a', data)]
    source, target = os.pipe()
    vm = t.daemon(*daemon_disks, pass_fds=[target])
    os.close(target)
    vm.backup(backup_file='fd:%d' % target, devlist='none,one')
    with os.fdopen(source, 'rb', 0) as file:
        result = Stream(file).read_all()
    vm.end('done')
    equal(result.device('none').size, 0, 'size')
    equal(bytes(result.device('one').image), bytes(data), 'disk')


def test_qcow2_holes(t):
    """What is not allocated in qcow2 costs no payload."""
    path = t.path('a')
    t.img('create', '-q', '-f', 'qcow2', path, '64M')
    t.qemu_io('qcow2', path, 'write -P 0x11 0 64k', 'write -P 0x22 32M 128k',
              'write -z 48M 1M')
    vm = t.machine(*disk('d0', path, 'qcow2'))
    result = vm.whole_backup()
    dev = result.device('d0')
    expected = bytearray(64 << 20)
    expected[:CLUSTER] = b'\x11' * CLUSTER
    expected[32 << 20:(32 << 20) + 2 * CLUSTER] = b'\x22' * 2 * CLUSTER
    check(dev.image == expected, 'the contents differ')
    equal(dev.count(DATA), 3, 'data clusters')
    zero_records = [r for r in result.records if r[0] == ZERO]
    check(len(zero_records) < 64, '%d zero records' % len(zero_records))
    info = vm.status()
    equal(info['zero-bytes'], (64 << 20) - 3 * CLUSTER, 'zero-bytes')
    equal(info['transferred'], 64 << 20, 'transferred')
    equal(info['total'], 64 << 20, 'total')


def test_backing_file(t):
    """A disk with a backing file arrives with what is in both."""
    base = pattern(2 << 20)
    t.img('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', t.raw('a', base),
          t.path('b'))
    t.qemu_io('qcow2', t.path('b'), 'write -P 0x33 100k 1000')
    base[100 << 10:(100 << 10) + 1000] = b'\x33' * 1000
    vm = t.machine(*disk('d0', t.path('b'), 'qcow2'))
    check(vm.whole_backup().device('d0').image == base, 'the contents differ')


def test_allocated_zeroes(t):
    """Zeroes that take space in the image are sent as runs of zeroes."""
    data = bytearray(4 << 20)
    data[5 * CLUSTER + 7] = 1
    data[-1] = 1
    vm = t.machine(*disk('d0', t.raw('a', data), extra=',file.locking=off'))
    dev = vm.whole_backup().device('d0')
    check(dev.image == data, 'the contents differ')
    equal([i for i, k in enumerate(dev.kind) if k == DATA],
          [5, dev.clusters - 1], 'data clusters')


def test_two_backups(t):
    """A second backup in the same machine is as good as the first."""
    data = pattern(1 << 20)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    before = vm.leftovers()
    first = vm.whole_backup()
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.io('d0', 'write -P 0x44 0 64k')
    second = vm.whole_backup()
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    equal(bytes(first.device('d0').image), bytes(data), 'first')
    data[:CLUSTER] = b'\x44' * CLUSTER
    equal(bytes(second.device('d0').image), bytes(data), 'second')
    check(first.uuid != second.uuid, 'the uuids are the same')


def test_socket(t):
    """A connected socket serves as well as a pipe."""
    data = pattern(1 << 20)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    ours, theirs = socket.socketpair()
    vm.qmp.getfd(theirs.fileno())
    theirs.close()
    vm.backup()
    with ours, ours.makefile('rb', 0) as file:
        result = Stream(file).read_all()
    vm.end('done')
    equal(bytes(result.device('d0').image), bytes(data), 'disk')


def test_small_pieces(t):
    """A pipe that takes little at a time loses nothing."""
    data = pattern(1 << 20)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    source, target = os.pipe()
    fcntl.fcntl(target, 1031, 4096)     # F_SETPIPE_SZ
    vm.qmp.getfd(target)
    os.close(target)
    vm.backup()
    sizes = random.Random(1)

    class Small:
        def read(self, size):
            return os.read(source, min(size, sizes.randint(1, 5000)))

    result = Stream(Small()).read_all()
    os.close(source)
    vm.end('done')
    equal(bytes(result.device('d0').image), bytes(data), 'disk')


def test_daemon(t):
    """The storage daemon writes to an inherited pipe."""
    data = pattern(1 << 20)
    source, target = os.pipe()
    vm = t.daemon('--blockdev', 'driver=file,node-name=n0,filename=' +
                  t.raw('a', data), pass_fds=[target])
    os.close(target)
    uuid = vm.backup(backup_file='fd:%d' % target, devlist='n0')
    with os.fdopen(source, 'rb', 0) as file:
        result = Stream(file).read_all()
    info = vm.end('done')
    equal(bytes(result.device('n0').image), bytes(data), 'disk')
    equal(result.uuid.hex(), uuid.replace('-', ''), 'uuid')
    equal(info['uuid'], uuid, 'uuid')
    equal(info['backup-file'], 'fd:%d' % target, 'backup-file')


def test_default_disks(t):
    """Without a list, every writable disk of the guest is in, once."""
    vm = t.machine(
        *disk('disk0', t.raw('a', pattern(CLUSTER, 1))),
        # one that is read-only, one that no device uses, an empty drive
        '-blockdev', 'driver=file,node-name=ro,read-only=on,filename=' +
        t.raw('b', pattern(CLUSTER, 2)),
        '-device', 'virtio-blk-pci,id=ro,drive=ro',
        '-blockdev', 'driver=file,node-name=unused,filename=' +
        t.raw('c', pattern(CLUSTER, 3)),
        '-device', 'ide-cd,id=cd0',
        # known by the id of -drive only
        '-drive', 'if=none,id=drive1,format=raw,file=' +
        t.raw('d', pattern(CLUSTER, 4)),
        '-device', 'virtio-blk-pci,drive=drive1',
        # an id that is not at the device which has the disk
        '-device', 'virtio-scsi-pci,id=bus',
        '-blockdev', 'driver=file,node-name=n5,filename=' +
        t.raw('e', pattern(CLUSTER, 5)),
        '-device', 'scsi-hd,id=sd0,drive=n5')
    result = vm.whole_backup()
    equal(sorted(d.name for d in result.devices.values()),
          ['disk0', 'drive1', 'sd0'], 'names')
    for name, seed in (('disk0', 1), ('drive1', 4), ('sd0', 5)):
        equal(bytes(result.device(name).image), bytes(pattern(CLUSTER, seed)),
              name)


def test_names(t):
    """A disk is named in the stream as in the list, however that is."""
    path = '/machine/peripheral/dev3/virtio-backend'
    vm = t.machine(
        *disk('dev1', t.raw('a', pattern(CLUSTER, 1))),
        *disk('dev2', t.raw('b', pattern(CLUSTER, 2))),
        *disk('dev3', t.raw('c', pattern(CLUSTER, 3))),
        '-drive', 'if=none,id=drive4,format=raw,file=' +
        t.raw('d', pattern(CLUSTER, 4)),
        '-device', 'virtio-blk-pci,id=dev4,drive=drive4')
    names = ['drive4', path, 'dev2-node', 'dev1']
    result = vm.whole_backup(devlist='%s,%s;%s:%s' % tuple(names))
    equal([d.name for d in result.devices.values()], names, 'names')
    for name, seed in zip(names, (4, 3, 2, 1)):
        equal(bytes(result.device(name).image), bytes(pattern(CLUSTER, seed)),
              name)


def test_configs(t):
    """Configs arrive as they are, up to the largest size."""
    large = bytes(pattern(65535))
    path = t.raw('vm.conf', large)
    vm = t.machine(*disk('d0', t.raw('a', pattern(CLUSTER))))
    result = vm.whole_backup(config_file=path, configs=[
        {'name': 'empty', 'data': ''},
        {'name': 'größe', 'data': b64(b'\0\xff\n')}])
    equal(result.configs, {'vm.conf': large, 'empty': b'',
                           'größe': b'\0\xff\n'}, 'configs')


def test_times(t):
    """Start and end are told with nanoseconds, alike in stream and status."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(CLUSTER))))
    before = time.time_ns()
    result = vm.whole_backup()
    after = time.time_ns()
    info = vm.status()
    start = info['start-time'] * 10 ** 9 + info['start-time-nsec']
    end = info['end-time'] * 10 ** 9 + info['end-time-nsec']
    equal(start, result.start_time, 'start')
    check(before <= start <= result.end_time <= end <= after,
          'times are not in order')
    check(start % 1000000 or end % 1000000, 'no nanoseconds')


def test_speed(t):
    """The speed limit is for all disks together."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(2 << 20))),
                   *disk('d1', t.raw('b', pattern(2 << 20))))
    start = time.monotonic()
    vm.whole_backup(speed=2 << 20)
    seconds = time.monotonic() - start
    equal(vm.status()['speed'], 2 << 20, 'speed')
    # the first 100 ms and chunk are free
    check(1.3 < seconds < 4, '4 MiB at 2 MiB/s took %.2f s' % seconds)


def test_set_speed(t):
    """The limit can be changed at any time, for all disks together, and what
    is measured follows it."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(4 << 20))),
                   *disk('d1', t.raw('b', pattern(4 << 20))))
    reader = Reader(vm.to_pipe())
    reader.result()
    vm.end('done')
    check('current-speed' not in vm.status(), 'current-speed after the end')

    for set_speed in (lambda n: vm.qmp.cmd('backup-set-speed', speed=n),
                      lambda n: equal(vm.hmp('backup_set_speed %dB' % n), '',
                                      'HMP')):
        reader = Reader(vm.to_pipe(speed=65536))
        time.sleep(0.3)
        set_speed(2 << 20)
        info = vm.status()
        equal(info['speed'], 2 << 20, 'speed')
        done = info['transferred']
        time.sleep(1.2)
        info = vm.status()
        seconds_worth = (info['transferred'] - done) / 1.2
        check((1 << 20) < seconds_worth < (4 << 20),
              '%d bytes/s instead of 2 MiB/s' % seconds_worth)
        check((1 << 20) < info['current-speed'] < (4 << 20),
              'current-speed %d' % info['current-speed'])
        text = vm.hmp('info backup')
        check('Speed limit: 2097152 bytes/s' in text and
              'Current speed: ' in text, text)
        set_speed(0)
        start = time.monotonic()
        reader.result()
        vm.end('done')
        check(time.monotonic() - start < 1, 'it is still limited')
        equal(vm.status()['speed'], 0, 'speed')


def test_set_speed_one_left(t):
    """The disk that is left gets the whole new limit."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(CLUSTER))),
                   *disk('d1', t.raw('b', pattern(3 << 20))))
    start = time.monotonic()
    reader = Reader(vm.to_pipe(speed=131072))
    while 'job-id' in vm.status()['devices'][0]:
        time.sleep(0.05)
    vm.qmp.cmd('backup-set-speed', speed=2 << 20)
    reader.result()
    seconds = time.monotonic() - start
    check(1 < seconds < 2.6, '3 MiB at 2 MiB/s took %.2f s' % seconds)


def test_events(t):
    """Every change of the state is told by an event."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(CLUSTER))))
    equal(vm.status(), {'status': 'none'}, 'status')
    vm.whole_backup()
    vm.status()
    equal([e['data']['status'] for e in vm.qmp.events
           if e['event'] == 'BACKUP_STATUS_CHANGE'],
          ['active', 'completing', 'done'], 'states')


def test_status_while_active(t):
    """query-backup and other queries work while a backup is active."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(1 << 20))),
                   *disk('d1', t.raw('b', pattern(CLUSTER))))
    reader = Reader(vm.to_pipe(speed=65536))
    info = vm.status()
    equal(info['status'], 'active', 'status')
    equal([(d['device'], d['device-id'], d['size']) for d in info['devices']],
          [('d0', 1, 1 << 20), ('d1', 2, CLUSTER)], 'devices')
    equal(info['devices'][0]['job-id'], 'backup-dump1', 'job-id')
    for command in ('query-block', 'query-named-block-nodes', 'query-jobs',
                    'query-block-jobs', 'query-blockstats'):
        vm.qmp.cmd(command)
    out = vm.hmp('info block -n -v')
    check('backup-dump1' in out, 'info block: ' + out)
    vm.hmp('qemu-io backup-dump1 "read 0 64k"')
    vm.full_speed()
    reader.result()
    vm.end('done')


def test_human_monitor(t):
    """The human monitor has the commands as well."""
    data = pattern(1 << 20)
    # human-monitor-command has no descriptors of its own, so it is a number
    source, target = os.pipe()
    vm = t.machine(*disk('d0', t.raw('a', data)), pass_fds=[target])
    os.close(target)
    equal(vm.hmp('info backup'), 'Backup status: none\r\n', 'info backup')
    equal(vm.hmp('backup fd:%d 0 d0' % target), '', 'backup')
    reader = Reader(os.fdopen(source, 'rb', 0))
    check(reader.result().device('d0').image == data, 'the contents differ')
    vm.end('done')
    out = vm.hmp('info backup')
    for text in ('Backup status: done\r\n', 'UUID: ', 'Start time: 2',
                 'End time: 2', 'Total size: 1048576 bytes\r\n',
                 'Transferred: 1048576 bytes (100.0%)\r\n',
                 'Zeroes: 0 bytes (0.0%)\r\n',
                 '  d0: 1048576 bytes (100.0%)\r\n'):
        check(text in out, '%r is not in %r' % (text, out))
    equal(vm.hmp('backup_cancel'), '', 'backup_cancel')
    check('not of the form' in vm.hmp('backup x'), 'no error')
