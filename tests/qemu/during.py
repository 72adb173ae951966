# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of a backup that is active share: a disk, a reader that stops,
and what has to be so in the end."""

import fcntl
import os
import time

from harness import Failure, QmpError, check, disk, equal, pattern
from stream import Incomplete, Stream

SIZE = 4 << 20
SLOW = 65536    # bytes a second; the first chunk goes at once
TIMEOUT = 1     # seconds; how long a reader may stall here
SLACK = 1.5     # for a busy test machine
BUS = ['-device', 'virtio-scsi-pci']


def small_pipe():
    """A pipe that holds 4096 bytes"""
    source, target = os.pipe()
    fcntl.fcntl(target, 1031, 4096)     # F_SETPIPE_SZ
    return source, target


def one_disk(t, **kwargs):
    data = pattern(SIZE)
    vm = t.machine(*disk('d0', t.raw('a', data), **kwargs))
    return vm, data, vm.leftovers()


def scsi(name, path):
    """Like disk(), but of a bus from which a disk goes without a guest's
    consent"""
    return ['-blockdev', 'driver=file,node-name=%s-node,filename=%s' %
            (name, path), '-device', 'scsi-hd,id=%s,drive=%s-node' %
            (name, name)]


def to_small_pipe(vm, **arguments):
    """Start a backup that nobody reads yet; return our end"""
    source, target = small_pipe()
    vm.qmp.getfd(target)
    os.close(target)
    vm.backup(**arguments)
    return os.fdopen(source, 'rb', 0)


def incomplete(source):
    """What is read from source must not pass for a backup"""
    try:
        Stream(source).read_all()
    except Incomplete as err:
        return err
    finally:
        source.close()
    raise Failure('the stream is complete')


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


def wait_migration(vm):
    deadline = time.monotonic() + 20
    while True:
        status = vm.qmp.cmd('query-migrate').get('status')
        if status in ('completed', 'failed'):
            return status
        check(time.monotonic() < deadline, 'the migration does not end')
        time.sleep(0.02)


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

