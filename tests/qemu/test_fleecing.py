# SPDX-License-Identifier: GPL-2.0-or-later
"""Backups with a local image between the disk and the stream.  (run.py
--fleecing runs the other tests like that, too.)"""

import os
import select
import time

from during import SIZE, SLOW, to_small_pipe
from harness import (CLUSTER, Failure, QmpError, Reader, Skip, check, disk,
                     equal, pattern)
from stream import END, Aborted, Stream
from test_arguments import refused


def setup(t, data, size=SIZE, fmt='raw', image='', extra=(), options=''):
    """A disk d0 and an image for it, node f0"""
    path = t.path('f0.' + fmt)
    if fmt == 'raw':
        path = t.raw('f0.raw', b'')
        os.truncate(path, size)
    else:
        t.img('create', '-q', '-f', fmt, *(['-o', image] if image else []),
              path, str(size))
    args = ['-blockdev', 'driver=%s,node-name=f0,discard=unmap,'
            'file.driver=file,file.discard=unmap,file.filename=%s%s' %
            (fmt, path, options)]
    vm = t.machine(*disk('d0', t.raw('a', data)), *args, *extra)
    return vm, vm.leftovers(), path


F0 = [{'device': 'd0', 'node': 'f0'}]


def over(vm, before):
    """Nothing is left but the image, which can be deleted"""
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.io('d0', 'write -P 0x99 0 64k')
    vm.qmp.cmd('blockdev-del', node_name='f0')


def nobody_reads(t, **kwargs):
    """The guest changes all of the disk while nobody reads, and there is no
    timeout: would it wait for the reader, this would not end."""
    data = pattern(SIZE)
    data[1 << 20:(1 << 20) + 4 * CLUSTER] = bytes(4 * CLUSTER)
    vm, before, path = setup(t, data, **kwargs)
    source = to_small_pipe(vm, timeout=0, fleecing=F0)
    vm.io('d0', 'write -P 1 0 3M')
    vm.io('d0', 'write -z 3M 512k')
    vm.io('d0', 'write -P 2 3584k 1k')
    vm.io('d0', 'write -P 3 3648k 448k')
    vm.io('d0', 'write -P 4 0 4M')
    reader = Reader(source)
    check(reader.result().device('d0').image == data, 'wrong contents')
    vm.end('done')
    over(vm, before)
    return path


def test_nobody_reads(t):
    """A guest write does not wait for the reader, and what it overwrites is in
    the backup; its space in the image is free afterwards."""
    path = nobody_reads(t)
    equal(os.stat(path).st_blocks, 0, 'blocks of the image')


def test_nobody_reads_qcow2(t):
    """The same with an image in qcow2."""
    nobody_reads(t, fmt='qcow2')


def test_nobody_reads_old_qcow2(t):
    """And in one of version 2, where zeroes look like what was not saved."""
    nobody_reads(t, fmt='qcow2', image='compat=0.10')


def test_nobody_reads_large_clusters(t):
    """And with clusters of 2 MiB."""
    nobody_reads(t, fmt='qcow2', image='cluster_size=2M')


def test_odd_size(t):
    """A disk that does not end with a cluster."""
    for size in (512, CLUSTER + 512, (1 << 20) - 512):
        data = pattern(size)
        vm, before, _path = setup(t, data, size)
        source = to_small_pipe(vm, timeout=0, fleecing=F0)
        vm.io('d0', 'write -P 1 0 %d' % size)
        check(Reader(source).result().device('d0').image == data,
              'wrong contents')
        vm.end('done')
        equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
        vm.kill()


def test_one_of_two(t):
    """One disk has an image, the other one goes to the stream directly."""
    data, other = pattern(SIZE), pattern(SIZE, 2)
    vm, before, _path = setup(t, data,
                              extra=disk('d1', t.raw('b', other)))
    reader = Reader(vm.to_pipe(speed=SLOW, fleecing=F0))
    for name in 'd0', 'd1':
        vm.io(name, 'write -P 1 1M 2M')
    vm.qmp.cmd('backup-set-speed', speed=0)
    stream = reader.result()
    check(stream.device('d0').image == data, 'wrong contents')
    check(stream.device('d1').image == other, 'wrong contents')
    vm.end('done')
    over(vm, before)


def test_iothreads(t):
    """Disks in iothreads, and their images go there and back."""
    data, other = pattern(SIZE), pattern(SIZE, 2)
    vm = t.machine('-object', 'iothread,id=io0', '-object', 'iothread,id=io1',
                   *disk('d0', t.raw('a', data), iothread='io0'),
                   *disk('d1', t.raw('b', other), iothread='io1'))
    before = vm.leftovers()
    first, second = vm.fleecing('d0,d1')
    for nodes in ((first['node'], second['node']),
                  (second['node'], first['node'])):
        reader = Reader(vm.to_pipe(speed=SLOW, devlist='d0,d1', fleecing=[
            {'device': 'd0', 'node': nodes[0]},
            {'device': 'd1', 'node': nodes[1]}]))
        for name in 'd0', 'd1':
            vm.io(name, 'write -P 1 1M 2M')
        vm.qmp.cmd('backup-set-speed', speed=0)
        stream = reader.result()
        check(stream.device('d0').image == data, 'wrong contents')
        check(stream.device('d1').image == other, 'wrong contents')
        vm.end('done')
        for contents in data, other:
            contents[1 << 20:3 << 20] = b'\1' * (2 << 20)
    vm.delete_images()
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def broken(t, message, options, request='write -P 7 2M 64k', size=SIZE,
           wait=20, **arguments):
    """With an image like this, the guest's request succeeds and the backup
    fails with the message, also in the stream."""
    path = t.raw('f0.raw', b'')
    os.truncate(path, size)
    data = pattern(SIZE)
    vm = t.machine(*disk('d0', t.raw('a', data)), *[
        arg.replace('@PATH@', path) for arg in options])
    before = vm.leftovers()
    reader = Reader(vm.to_pipe(speed=SLOW, fleecing=F0, **arguments))
    vm.io('d0', request, wait)
    info = vm.end('error')
    equal(info['errmsg'], message, 'errmsg')
    reader.join(5)
    equal((getattr(reader.error, 'reason', None),
           getattr(reader.error, 'message', None)), (4, message), 'ABORT')
    vm.io('d0', 'read -P 7 2M 64k')
    over(vm, before)
    check(vm.whole_backup(fleecing=[]), 'the next backup')


def blkdebug(kind, errno):
    return ['-blockdev', 'driver=blkdebug,node-name=f0,discard=unmap,'
            'image.driver=file,image.filename=@PATH@,'
            'inject-error.0.event=none,inject-error.0.iotype=%s,'
            'inject-error.0.errno=%d' % (kind, errno)]


STALLED = ['-object', 'throttle-group,id=tg,x-bps-write=1',
           '-blockdev', 'driver=throttle,node-name=f0,throttle-group=tg,'
           'file.driver=file,file.filename=@PATH@']


def test_image_full(t):
    """No space left for the image: the backup fails, the guest goes on."""
    broken(t, "cannot write to fleecing image 'f0' of device 'd0': "
           'No space left on device', blkdebug('write', 28))


def test_image_cannot_be_written(t):
    """Any other error, and another request."""
    broken(t, "cannot write to fleecing image 'f0' of device 'd0': "
           'Input/output error', blkdebug('write', 5),
           'aio_write -P 7 1M 2M')


def test_image_cannot_be_read(t):
    """What was saved cannot be read back."""
    path = t.raw('f0.raw', b'')
    os.truncate(path, SIZE)
    vm = t.machine(*disk('d0', t.raw('a', pattern(SIZE))), *[
        arg.replace('@PATH@', path) for arg in blkdebug('read', 5)])
    before = vm.leftovers()
    reader = Reader(vm.to_pipe(speed=SLOW, fleecing=F0))
    vm.io('d0', 'write -P 7 2M 64k')
    vm.full_speed()
    equal(vm.end('error')['errmsg'], "cannot read fleecing image 'f0' of "
          "device 'd0': Input/output error", 'errmsg')
    reader.join(5)
    equal(getattr(reader.error, 'reason', None), 4, 'ABORT')
    over(vm, before)


def test_image_stalls(t):
    """An image that takes no write holds up a guest write for no longer than
    the timeout."""
    broken(t, "cannot write to fleecing image 'f0' of device 'd0': "
           'Connection timed out', STALLED, 'write -P 7 1M 2M', timeout=1)


def test_image_stalls_without_timeout(t):
    """Nor for longer than 30 seconds where the reader may take any time."""
    if t.fleecing:
        raise Skip('takes long, and is the same without --fleecing')
    start = time.monotonic()
    broken(t, "cannot write to fleecing image 'f0' of device 'd0': "
           'Connection timed out', STALLED, 'write -P 7 1M 2M', wait=50,
           timeout=0)
    check(time.monotonic() - start > 20, 'it was given up too soon')


def test_image_breaks_last(t):
    """The image fails when everything was read: still no success."""
    path = t.raw('f0.raw', b'')
    os.truncate(path, SIZE)
    vm = t.machine(*disk('d0', t.raw('a', pattern(SIZE))), *[
        arg.replace('@PATH@', path) for arg in blkdebug('write', 28)])
    before = vm.leftovers()
    source = to_small_pipe(vm, fleecing=F0)
    stream = Stream(source)
    stream.read_preamble()
    # the job has read all when no more is left than it may have in flight
    while len(stream.records) < 48:
        stream.read_record()
    vm.io('d0', 'write -P 7 4032k 64k')
    try:
        while stream.read_record() != END:
            pass
    except Aborted as err:
        check('No space left' in err.message, err.message)
    else:
        raise Failure('the stream is complete')
    source.close()
    vm.end('error')
    over(vm, before)


def test_arguments(t):
    """Every mistake has its message, and nothing is left of it."""
    data = pattern(SIZE)
    small = t.raw('small', bytes(CLUSTER))
    vm, before, path = setup(t, data, extra=[
        *disk('d1', t.raw('b', pattern(SIZE, 2))),
        *disk('d2', t.raw('c', pattern(SIZE, 3))),
        '-blockdev', 'driver=file,node-name=small,filename=' + small,
        '-blockdev', 'driver=file,node-name=ro,read-only=on,filename=' +
        t.raw('ro', bytes(SIZE)),
        '-blockdev', 'driver=file,node-name=prot,filename=' +
        t.raw('used', bytes(SIZE)),
        '-blockdev', 'driver=raw,node-name=above,file=prot'])
    before = vm.leftovers()

    def wrong(text, *pairs, devlist='d0,d1'):
        refused(vm, text, devlist=devlist,
                fleecing=[{'device': d, 'node': n} for d, n in pairs])

    wrong("Device 'd2' has a fleecing image, but is not backed up",
          ('d2', 'f0'))
    wrong("Device 'no' not found", ('no', 'f0'))
    wrong("Device 'd0' has two fleecing images", ('d0', 'f0'), ('d0', 'small'))
    wrong("Fleecing image 'no' not found", ('d0', 'no'))
    wrong("Fleecing image 'f0' is in use", ('d0', 'f0'), ('d1', 'f0'))
    wrong("Fleecing image 'd2-node' is in use", ('d0', 'd2-node'))
    wrong("Fleecing image 'd1-node' is to be backed up itself",
          ('d0', 'd1-node'))
    wrong("Fleecing image 'd0-node' is to be backed up itself",
          ('d0', 'd0-node'))
    wrong("Fleecing image 'prot' is in use", ('d0', 'prot'))
    wrong("Fleecing image 'ro' is read-only", ('d0', 'ro'))
    wrong("Fleecing image 'small' has 65536 bytes, but device 'd0' has "
          '4194304', ('d0', 'small'))
    # an error that comes late, when everything else is in place
    vm.qmp.cmd('block-dirty-bitmap-add', node='d1-node', name='backup-dump2')
    wrong('Bitmap already exists: backup-dump2', ('d0', 'f0'), ('d1', 'above'))
    vm.qmp.cmd('block-dirty-bitmap-remove', node='d1-node',
               name='backup-dump2')
    stream = vm.whole_backup(devlist='d0,d1', fleecing=[
        {'device': 'd0-node', 'node': 'f0'}, {'device': 'd1',
                                              'node': 'above'}])
    check(stream.device('d0').image == data, 'wrong contents')
    over(vm, before)
    equal(os.path.getsize(path), SIZE, 'size of the image')


def test_jobs_fail_to_start(t):
    """A job that cannot be started takes the filters with it."""
    data = pattern(SIZE)
    vm, _before, _path = setup(t, data,
                               extra=disk('d1', t.raw('b', pattern(SIZE, 2))))
    vm.qmp.cmd('blockdev-add', driver='null-co', node_name='null', size=SIZE)
    before = vm.leftovers()
    # takes the name of a job
    vm.qmp.cmd('blockdev-backup', job_id='backup-dump2', device='d1-node',
               target='null', sync='full', speed=1)
    try:
        vm.whole_backup(devlist='d0,d1', fleecing=F0)
    except QmpError as err:
        check('backup-dump2' in str(err) or 'in use' in str(err), str(err))
    else:
        raise Failure('no error')
    vm.qmp.cmd('block-job-cancel', device='backup-dump2', force=True)
    while vm.leftovers()[1]:
        select.select([], [], [], 0.05)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(vm.whole_backup(devlist='d0', fleecing=F0).device('d0').image ==
          data, 'wrong contents')
    over(vm, before)


def test_image_is_protected(t):
    """While a backup runs, nobody else can write to the image, resize it or
    take it away."""
    data = pattern(SIZE)
    vm, before, _path = setup(t, data)
    reader = Reader(vm.to_pipe(speed=SLOW, fleecing=F0))
    for command, arguments in (
            ('blockdev-del', {'node_name': 'f0'}),
            ('block_resize', {'node_name': 'f0', 'size': 2 * SIZE}),
            ('device_add', {'driver': 'virtio-blk-pci', 'id': 'd9',
                            'drive': 'f0'})):
        try:
            vm.qmp.cmd(command, **arguments)
        except QmpError:
            continue
        raise Failure(command + ' is not refused')
    vm.io('d0', 'write -P 1 0 4M')
    vm.full_speed()
    check(reader.result().device('d0').image == data, 'wrong contents')
    vm.end('done')
    over(vm, before)


def test_cancel_while_nobody_reads(t):
    """A backup that nobody reads can be cancelled, also without going out of
    band: the main loop does not wait."""
    data = pattern(SIZE)
    vm, before, _path = setup(t, data)
    source = to_small_pipe(vm, timeout=0, fleecing=F0)
    vm.io('d0', 'write -P 1 0 4M')
    vm.qmp.cmd('backup-cancel')
    vm.end('cancelled')
    source.close()
    over(vm, before)


def test_daemon(t):
    """In the storage daemon it is the same."""
    data = pattern(SIZE)
    source, target = os.pipe()
    path = t.raw('f0.raw', b'')
    os.truncate(path, SIZE)
    daemon = t.daemon(
        '--blockdev', 'driver=file,node-name=d0,filename=' + t.raw('a', data),
        '--blockdev', 'driver=file,node-name=f0,filename=' + path,
        pass_fds=[target])
    before = daemon.leftovers()
    daemon.backup(backup_file='fd:%d' % target, devlist='d0', fleecing=F0)
    os.close(target)
    check(Reader(os.fdopen(source, 'rb', 0)).result().device('d0').image ==
          data, 'wrong contents')
    daemon.end('done')
    nodes, jobs, _pipes = daemon.leftovers()
    equal((nodes, jobs), before[:2], 'nodes, jobs')
    daemon.qmp.cmd('blockdev-del', node_name='f0')


def one_job_ends(t):
    """Of two jobs, the second one has copied all, and the first one waits for
    a reader who has stopped"""
    data, other = pattern(SIZE), pattern(CLUSTER, 2)
    vm, before, _path = setup(t, data,
                              extra=disk('d1', t.raw('b', other)))
    path = t.raw('f1.raw', bytes(CLUSTER))
    vm.qmp.cmd('blockdev-add', driver='file', node_name='f1', filename=path)
    source = to_small_pipe(vm, timeout=0, fleecing=F0 + [
        {'device': 'd1', 'node': 'f1'}])
    stream = Stream(source)
    stream.read_preamble()
    while 2 not in [record[1] for record in stream.records]:
        stream.read_record()
    while not any(event['event'] == 'BLOCK_JOB_PENDING'
                  for event in vm.qmp.events):
        vm.status()
    for name in 'd0', 'd1':
        vm.io(name, 'write -P 1 0 64k')
    return vm, before, stream, source, (data, other)


def test_one_job_ends_while_nobody_reads(t):
    """That the job of a disk has ended, while others write to a reader that
    has stopped, does not stop the guest: what drains the disks then is put
    off until all have ended."""
    vm, before, stream, source, (data, other) = one_job_ends(t)
    while stream.read_record() != END:
        pass
    source.close()
    check(stream.device('d0').image == data, 'wrong contents')
    check(stream.device('d1').image == other, 'wrong contents')
    vm.end('done')
    vm.qmp.cmd('blockdev-del', node_name='f1')
    over(vm, before)


def test_cancel_when_one_job_has_ended(t):
    """A backup can be cancelled then, and jobs can be cancelled or ended by
    the user."""
    for command, arguments, state in (
            ('backup-cancel', {}, 'cancelled'),
            ('block-job-cancel', {'device': 'backup-dump2', 'force': True},
             'cancelled'),
            ('block-job-cancel', {'device': 'backup-dump1'}, 'cancelled')):
        vm, before, _stream, source, _data = one_job_ends(t)
        vm.qmp.cmd(command, **arguments)
        vm.end(state)
        source.close()
        vm.qmp.cmd('blockdev-del', node_name='f1')
        over(vm, before)
        vm.kill()
