# SPDX-License-Identifier: GPL-2.0-or-later
"""Backups that do not succeed: the guest must not notice, nothing may be left
behind, and the next backup must work."""

import os
import socket
import time

from during import SIZE, SLOW, incomplete, one_disk, to_small_pipe
from harness import (CLUSTER, Failure, QmpError, Reader, check, disk, equal,
                     pattern, read_for)
from stream import END, Aborted, Incomplete, Stream


def healthy(vm, data, before):
    """The guest can write, nothing is left, the next backup works"""
    vm.io('d0', 'write -P 0x99 0 64k')
    vm.io('d0', 'write -P 0x9a 3M 512k')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    data[:CLUSTER] = b'\x99' * CLUSTER
    data[3 << 20:(3 << 20) + (1 << 19)] = b'\x9a' * (1 << 19)
    check(vm.whole_backup().device('d0').image == data, 'the next backup')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_no_reader(t):
    """A reader that is gone before the preamble: error, and the guest writes
    on."""
    vm, data, before = one_disk(t)
    source, target = os.pipe()
    vm.qmp.getfd(target)
    os.close(source)
    os.close(target)
    vm.backup()
    vm.io('d0', 'write -P 1 1M 1M')
    data[1 << 20:2 << 20] = b'\1' * (1 << 20)
    info = vm.end('error')
    check('Broken pipe' in info['errmsg'], info['errmsg'])
    healthy(vm, data, before)


def test_reader_dies_in_record(t):
    """A reader that dies in the middle of a record while the guest waits."""
    vm, data, before = one_disk(t)
    source = to_small_pipe(vm)
    ident = vm.io_send('d0', 'write -P 2 2M 1M')
    read_for(source, 100000)
    source.close()
    vm.io_wait(ident)
    data[2 << 20:3 << 20] = b'\2' * (1 << 20)
    info = vm.end('error')
    check('Broken pipe' in info['errmsg'], info['errmsg'])
    healthy(vm, data, before)


def test_reader_dies_between_records(t):
    """A reader that dies while there is nothing to read is noticed by the next
    record."""
    vm, data, before = one_disk(t)
    source = vm.to_pipe(speed=SLOW)
    stream = Stream(source)
    stream.read_preamble()
    stream.read_record()
    source.close()
    vm.io('d0', 'write -P 3 3M 64k')
    vm.end('error')
    healthy(vm, data, before)


def test_reader_dies_before_end(t):
    """A reader that misses only the end of the stream is no success."""
    path = t.path('a')
    t.img('create', '-q', '-f', 'qcow2', path, '1M')
    vm = t.machine(*disk('d0', path, 'qcow2'))
    source, target = os.pipe()
    vm.qmp.getfd(target)
    os.close(target)
    # nothing is written for a hole before the end
    os.close(source)
    vm.backup()
    vm.end('error')
    equal(vm.whole_backup().device('d0').size, 1 << 20, 'the next backup')


def test_socket_reader_dies(t):
    """A socket that is closed: the same."""
    vm, data, before = one_disk(t)
    ours, theirs = socket.socketpair()
    vm.qmp.getfd(theirs.fileno())
    theirs.close()
    vm.backup()
    ours.recv(1000)
    ours.close()
    vm.end('error')
    healthy(vm, data, before)


def test_reader_stops(t):
    """A reader that stops holds up a guest write for no longer than the
    timeout, and the guest sees no error."""
    vm, data, before = one_disk(t)
    source = to_small_pipe(vm, timeout=1)
    start = time.monotonic()
    vm.io('d0', 'write -P 4 2M 64k')
    seconds = time.monotonic() - start
    check(t.fleecing or 0.2 < seconds, 'the guest waited %.2f s' % seconds)
    check(seconds < 2.5, 'the guest waited %.2f s' % seconds)
    data[2 << 20:(2 << 20) + CLUSTER] = b'\4' * CLUSTER
    info = vm.end('error')
    check('within 1 seconds' in info['errmsg'], info['errmsg'])
    incomplete(source)
    healthy(vm, data, before)


def test_reader_stops_iothread(t):
    """The same where the disk is in an iothread."""
    data = pattern(SIZE)
    vm = t.machine('-object', 'iothread,id=io0',
                   *disk('d0', t.raw('a', data), iothread='io0'))
    before = vm.leftovers()
    source = to_small_pipe(vm, timeout=1)
    start = time.monotonic()
    vm.io('d0', 'write -P 4 2M 64k')
    check(time.monotonic() - start < 2.5, 'the guest waited too long')
    data[2 << 20:(2 << 20) + CLUSTER] = b'\4' * CLUSTER
    vm.end('error')
    incomplete(source)
    healthy(vm, data, before)


def test_reader_drips(t):
    """A reader that takes a little now and then is too slow as well."""
    vm, data, before = one_disk(t)
    source = to_small_pipe(vm, timeout=1)
    ident = vm.io_send('d0', 'write -P 5 2M 64k')
    start = time.monotonic()
    while time.monotonic() - start < 3:
        if not source.read(512):
            break
        time.sleep(0.1)
    source.close()
    check(time.monotonic() - start < 2.5, 'it was not given up')
    vm.io_wait(ident)
    data[2 << 20:(2 << 20) + CLUSTER] = b'\5' * CLUSTER
    vm.end('error')
    healthy(vm, data, before)


def test_slow_reader_is_no_error(t):
    """A reader that is slow, but within the timeout, gets everything."""
    vm, data, _before = one_disk(t)
    source = to_small_pipe(vm, timeout=10)

    class Slow:
        left = 30

        def read(self, size):
            if self.left:
                self.left -= 1
                time.sleep(0.02)
            return source.read(size)

    check(Stream(Slow()).read_all().device('d0').image == data, 'contents')
    source.close()
    vm.end('done')


def test_stop_and_reset_while_reader_stops(t):
    """Commands that drain the disks end with the timeout, too."""
    vm, data, before = one_disk(t)
    source = to_small_pipe(vm, timeout=1)
    start = time.monotonic()
    vm.qmp.cmd('stop')
    vm.qmp.cmd('system_reset')
    vm.qmp.cmd('blockdev-add', driver='null-co', node_name='new')
    vm.qmp.cmd('blockdev-del', node_name='new')
    vm.qmp.cmd('cont')
    seconds = time.monotonic() - start
    check(seconds < 3, 'it took %.2f s' % seconds)
    vm.end('error')
    incomplete(source)
    healthy(vm, data, before)


def test_quit_while_reader_stops(t):
    """QEMU can be ended, and ends well, while a reader is stopped."""
    vm, _data, _before = one_disk(t)
    source = to_small_pipe(vm, timeout=1)
    vm.qmp.send('quit')
    equal(vm.process.wait(10), 0, 'exit code')
    incomplete(source)


def one_disk_done(t, name='d1', args=None, timeout=0):
    """The smaller of two disks is copied, and the reader has stopped in the
    middle of the other one; return what there is"""
    data, other = pattern(SIZE), pattern(CLUSTER, 2)
    path = t.raw('b', other)
    vm = t.machine(*disk('d0', t.raw('a', data)),
                   *(args or disk(name, path)))
    before = vm.leftovers()
    stream = Stream(to_small_pipe(vm, timeout=timeout, devlist='d0,' + name))
    stream.read_preamble()
    while 2 not in [record[1] for record in stream.records]:
        stream.read_record()
    deadline = time.monotonic() + 10
    copying = None
    while copying != [True, False]:
        check(time.monotonic() < deadline, 'these jobs copy: %r' % copying)
        copying = ['job-id' in device for device in vm.status()['devices']]
    return vm, before, stream, (data, other)


def rest_is_incomplete(stream):
    try:
        while stream.read_record() != END:
            pass
    except Incomplete:
        return
    raise Failure('the stream is complete')


def test_finalize_when_one_disk_is_done(t):
    """A user's job-finalize of a disk that is copied does no harm."""
    vm, before, stream, _ = one_disk_done(t)
    while stream.device('d0').kind.count(0) > 16:
        stream.read_record()
    finalize = vm.qmp.send('job-finalize', id_='backup-dump2')
    while stream.read_record() != END:
        pass
    vm.qmp.wait(finalize)
    vm.end('done')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_finalize_unused_when_it_is_done(t):
    """The same with a disk that no device uses: what QEMU holds of it goes
    while the other one is copied on, and ends."""
    for left in range(48, 0, -12):
        vm, before, stream, (data, other) = one_disk_done(t, 'd1', [
            '-blockdev', 'driver=file,node-name=d1,filename=' + t.path('b')])
        while stream.device('d0').kind.count(0) > left:
            stream.read_record()
        finalize = vm.qmp.send('job-finalize', id_='backup-dump2')
        while stream.read_record() != END:
            pass
        vm.qmp.wait(finalize)
        vm.end('done')
        check(stream.device('d0').image == data, 'wrong contents')
        check(stream.device('d1').image == other, 'wrong contents')
        equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
        vm.kill()


def test_one_disk_done_while_reader_stops(t):
    """That a disk is copied does not make the guest wait for a reader who has
    stopped in the middle of another one, though there is no timeout: what has
    to wait for him is done when all disks are copied."""
    vm, _before, stream, (data, other) = one_disk_done(t)
    for request in 'write -P 1 0 64k', 'read -P 1 0 64k', 'flush':
        vm.io('d1', request)
    while stream.read_record() != END:
        pass
    check(stream.device('d0').image == data, 'wrong contents')
    check(stream.device('d1').image == other, 'wrong contents')
    vm.end('done')


def test_end_when_one_disk_is_done(t):
    """There the backup can be cancelled, by its jobs as well, and QEMU can be
    ended."""
    for command, arguments in (
            ('backup-cancel', {}),
            ('block-job-cancel', {'device': 'backup-dump2', 'force': True}),
            ('block-job-cancel', {'device': 'backup-dump1'})):
        vm, before, stream, _data = one_disk_done(t)
        vm.qmp.cmd(command, **arguments)
        vm.end('cancelled')
        rest_is_incomplete(stream)
        equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
        vm.whole_backup()
        vm.kill()
    # without a timeout it would wait for the reader
    vm, _before, stream, _data = one_disk_done(t, timeout=4)
    vm.qmp.send('quit')
    equal(vm.process.wait(10), 0, 'exit code')
    rest_is_incomplete(stream)


def test_unplug_when_it_is_done(t):
    """A -drive that is unplugged when it is copied does not cancel the backup
    of the others."""
    vm, _before, stream, (data, other) = one_disk_done(t, 'drive1', [
        '-device', 'virtio-scsi-pci', '-drive',
        'if=none,id=drive1,format=raw,file=' + t.path('b'),
        '-device', 'scsi-hd,id=d1,drive=drive1'])
    unplug = vm.qmp.send('device_del', id_='d1')
    while stream.read_record() != END:
        pass
    vm.qmp.wait(unplug)
    vm.end('done')
    check(stream.device('d0').image == data, 'wrong contents')
    check(stream.device('drive1').image == other, 'wrong contents')
    equal(vm.leftovers()[1], [], 'jobs')
    check(vm.whole_backup(devlist='d0').device('d0').image == data,
          'the next backup')


def test_cancel_early(t):
    """A backup can be cancelled as soon as it has started; the reader is
    told."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('backup-cancel')
    info = vm.end('cancelled')
    equal(info['errmsg'], 'the backup was cancelled', 'errmsg')
    try:
        reader.result()
    except Aborted as err:
        equal((err.reason, err.message), (2, 'the backup was cancelled'),
              'ABORT')
    else:
        raise Failure('the stream is complete')
    healthy(vm, data, before)


def test_cancel_middle(t):
    """A backup that is cancelled in the middle ends with ABORT, not END."""
    vm, data, before = one_disk(t)
    source = vm.to_pipe(speed=SLOW)
    stream = Stream(source)
    stream.read_preamble()
    stream.read_record()
    vm.qmp.cmd('backup-cancel')
    try:
        while True:
            stream.read_record()
    except Aborted as err:
        equal(err.reason, 2, 'reason')
    equal(source.read(1), b'', 'after ABORT')
    source.close()
    vm.end('cancelled')
    equal([e['data']['status'] for e in vm.qmp.events
           if e['event'] == 'BACKUP_STATUS_CHANGE'],
          ['active', 'cancelling', 'cancelled'], 'states')
    healthy(vm, data, before)


def test_cancel_again(t):
    """Cancelling is no error where there is nothing to cancel."""
    vm, data, before = one_disk(t)
    vm.qmp.cmd('backup-cancel')
    equal(vm.status(), {'status': 'none'}, 'status')
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('backup-cancel')
    vm.qmp.cmd('backup-cancel')
    vm.end('cancelled')
    vm.qmp.cmd('backup-cancel')
    vm.end('cancelled')
    reader.join(5)
    healthy(vm, data, before)
    vm.qmp.cmd('backup-cancel')
    vm.end('done')


def test_cancel_paused(t):
    """A backup whose job a user has paused can be cancelled."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('job-pause', id_='backup-dump1')
    vm.qmp.cmd('backup-cancel')
    vm.end('cancelled')
    reader.join(5)
    equal(getattr(reader.error, 'reason', None), 2, 'reason of ABORT')
    healthy(vm, data, before)


def test_cancel_while_reader_stops(t):
    """Out of band, a backup can be cancelled while the guest and the main loop
    wait for a reader that has stopped."""
    vm, data, before = one_disk(t)
    check(vm.qmp.has_oob, 'the monitor has no out-of-band execution')
    source = to_small_pipe(vm, timeout=0)
    ident = vm.io_send('d0', 'write -P 6 2M 64k')
    stop = vm.qmp.send('stop')
    time.sleep(0.3)
    info = vm.qmp.wait(vm.qmp.send('query-backup', oob=True))
    equal(info['status'], 'active', 'status')
    start = time.monotonic()
    vm.qmp.wait(vm.qmp.send('backup-cancel', oob=True))
    check(time.monotonic() - start < 0.5, 'the cancel took too long')
    vm.io_wait(ident)
    vm.qmp.wait(stop)
    seconds = time.monotonic() - start
    check(seconds < 1.5, 'the guest waited %.2f s after the cancel' % seconds)
    data[2 << 20:(2 << 20) + CLUSTER] = b'\6' * CLUSTER
    vm.end('cancelled')
    incomplete(source)
    vm.qmp.cmd('cont')
    healthy(vm, data, before)


def test_job_cancel(t):
    """Cancelling the job of one disk cancels the backup."""
    data = pattern(SIZE)
    vm = t.machine(*disk('d0', t.raw('a', data)),
                   *disk('d1', t.raw('b', pattern(SIZE, 2))))
    before = vm.leftovers()
    reader = Reader(vm.to_pipe(speed=SLOW, devlist='d0,d1'))
    vm.qmp.cmd('block-job-cancel', device='backup-dump2')
    info = vm.end('cancelled')
    check("'d1'" in info['errmsg'], info['errmsg'])
    reader.join(5)
    equal(getattr(reader.error, 'reason', None), 2, 'reason of ABORT')
    healthy_two(vm, before)


def healthy_two(vm, before):
    vm.io('d0', 'write -P 0x99 0 64k')
    vm.io('d1', 'write -P 0x99 0 64k')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.whole_backup()
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_source_error(t):
    """A disk that cannot be read fails the backup with that error, and the
    reader is told."""
    data = pattern(SIZE)
    vm = t.machine(
        *disk('d0', t.raw('a', data)),
        '-blockdev', 'driver=blkdebug,node-name=bad,image.driver=file,'
        'image.filename=%s,inject-error.0.event=none,'
        'inject-error.0.iotype=read,inject-error.0.errno=5,'
        'inject-error.0.sector=2048' % t.raw('b', pattern(SIZE, 2)),
        '-device', 'virtio-blk-pci,id=d1,drive=bad')
    before = vm.leftovers()
    reader = Reader(vm.to_pipe())
    info = vm.end('error')
    equal(info['errmsg'], "cannot read device 'd1': Input/output error",
          'errmsg')
    reader.join(5)
    equal((getattr(reader.error, 'reason', None),
           getattr(reader.error, 'message', None)), (1, info['errmsg']),
          'ABORT')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(vm.whole_backup(devlist='d0').device('d0').image == data,
          'the next backup')


def test_source_error_while_reader_stops(t):
    """A disk that cannot be read fails the backup at once, also while nobody
    reads and there is no timeout: neither guest nor main loop wait."""
    vm = t.machine(
        *disk('d0', t.raw('a', pattern(SIZE))), '-blockdev',
        'driver=blkdebug,node-name=bad,image.driver=file,image.filename=%s,'
        'inject-error.0.event=none,inject-error.0.iotype=read,'
        'inject-error.0.errno=5' % t.raw('b', pattern(CLUSTER, 2)),
        '-device', 'virtio-blk-pci,id=d1,drive=bad')
    before = vm.leftovers()
    source = to_small_pipe(vm, timeout=0, devlist='d0,d1')
    info = vm.end('error')
    equal(info['errmsg'], "cannot read device 'd1': Input/output error",
          'errmsg')
    incomplete(source)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def bad_cluster(t, request, written, iothread=False):
    """The guest changes a cluster at 2M that cannot be read, before the backup
    gets there: the backup fails, the guest's request does not."""
    data = pattern(SIZE)
    path = t.raw('a', data)
    vm = t.machine(
        '-object', 'iothread,id=io0',
        '-blockdev', 'driver=blkdebug,node-name=bad,image.driver=file,'
        'image.filename=%s,'
        'inject-error.0.event=none,inject-error.0.iotype=read,'
        'inject-error.0.errno=5,inject-error.0.sector=4200' % path,
        '-device', 'virtio-blk-pci,id=d0,drive=bad%s' %
        (',iothread=io0' if iothread else ''))
    before = vm.leftovers()
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.io('d0', request)
    info = vm.end('error')
    equal(info['errmsg'], "cannot read device 'd0': Input/output error",
          'errmsg')
    reader.join(5)
    equal((getattr(reader.error, 'reason', None),
           getattr(reader.error, 'message', None)), (1, info['errmsg']),
          'ABORT')
    vm.io('d0', 'flush')
    with open(path, 'rb') as file:
        file.seek(2 << 20)
        equal(file.read(len(written)), written, 'the disk')
    vm.io('d0', 'write -P 0x99 0 64k')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_unreadable_write(t):
    """A guest's write over what cannot be read succeeds."""
    bad_cluster(t, 'write -P 5 2M 4k', b'\5' * 4096)


def test_unreadable_write_iothread(t):
    """Also in an iothread, and where it is a whole cluster."""
    bad_cluster(t, 'write -P 5 2M 64k', b'\5' * CLUSTER, iothread=True)


def test_unreadable_write_zeroes(t):
    """So do zeroes."""
    bad_cluster(t, 'write -z 2M 64k', bytes(CLUSTER))


def test_busy_disk(t):
    """A disk that cannot be backed up now leaves the others as they were."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(SIZE))),
                   *disk('d1', t.raw('b', pattern(SIZE, 2))),
                   *disk('d2', t.raw('c', pattern(SIZE, 3))),
                   '-blockdev',
                   'driver=null-co,node-name=other,size=%d' % SIZE)
    vm.qmp.cmd('blockdev-backup', job_id='backup-dump2', device='d2-node',
               target='other', sync='full', speed=1)
    before = vm.leftovers()
    for devlist, text in (('d0,d2', "cannot back up device 'd2'"),
                          ('d0,d1', "Job ID 'backup-dump2' already in use")):
        try:
            vm.to_pipe(devlist=devlist)
        except QmpError as err:
            check(text in str(err), str(err))
        else:
            raise Failure('no error')
        equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
        equal(vm.status(), {'status': 'none'}, 'status')
    vm.qmp.cmd('block-job-cancel', device='backup-dump2', force=True)
    while vm.qmp.cmd('query-jobs'):
        time.sleep(0.01)
    vm.whole_backup()


def test_guard_removed(t):
    """Who removes the dirty bitmap that keeps a node from being reverted, ends
    the backup."""
    vm, data, before = one_disk(t)
    reader = Reader(vm.to_pipe(speed=SLOW))
    vm.qmp.cmd('block-dirty-bitmap-remove', node='d0-node',
               name='backup-dump1')
    vm.full_speed()
    equal(vm.end('error')['errmsg'],
          "dirty bitmap 'backup-dump1' of device 'd0' was removed", 'errmsg')
    reader.join(5)
    equal(getattr(reader.error, 'reason', None), 4, 'reason of ABORT')
    healthy(vm, data, before)
