# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that are refused: each with its own message, the descriptor closed,
and everything as before."""

import os
import select
import socket

from harness import (CLUSTER, Failure, QmpError, Reader, b64, check, disk,
                     equal, pattern)


def setup(t):
    vm = t.machine(
        *disk('d0', t.raw('a', pattern(CLUSTER))),
        *disk('d1', t.raw('b', pattern(CLUSTER, 2))),
        '-blockdev', 'driver=file,node-name=ro,read-only=on,filename=' +
        t.raw('c', pattern(CLUSTER, 3)),
        '-device', 'virtio-scsi-pci', '-device', 'scsi-cd,id=cd')
    return vm


def refused(vm, text, fd=None, **arguments):
    """The command fails with this message, our reader gets end of file without
    a byte, and nothing is left.  fd: pass this instead of a new pipe."""
    before = vm.leftovers()
    status = vm.status()
    source = None
    if fd is None:
        source, fd = os.pipe()
    vm.qmp.getfd(fd)
    if source is not None:
        os.close(fd)
    try:
        vm.backup(**arguments)
    except QmpError as err:
        check(text in str(err), '%r is not in %r' % (text, str(err)))
    else:
        raise Failure('no error, expected: ' + text)
    if source is not None:
        check(select.select([source], [], [], 5)[0], 'QEMU keeps the pipe')
        equal(os.read(source, 1), b'', 'bytes in the pipe')
        os.close(source)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    equal(vm.status(), status, 'status')


def test_devlist(t):
    """Every mistake in the list of disks has its message."""
    vm = setup(t)
    for devlist, text in (
            ('nobody', "Device 'nobody' not found"),
            ('d0,nobody', "Device 'nobody' not found"),
            ('ro', "Device 'ro' is read-only"),
            ('cd', "Device 'cd' has no medium"),
            ('', 'The device list is empty'),
            (',', "The device list ',' contains an empty name"),
            ('d0,', "The device list 'd0,' contains an empty name"),
            ('d0,d1,d0', "Device 'd0' is listed twice, also as 'd0'"),
            ('d0;d0-node', "Device 'd0-node' is listed twice, also as 'd0'")):
        refused(vm, text, devlist=devlist)
    equal(len(vm.whole_backup(devlist='d0,d1').devices), 2, 'devices')


def test_no_default_disks(t):
    """Without disks of a guest the list is required."""
    vm = t.machine('-blockdev', 'driver=file,node-name=n0,filename=' +
                   t.raw('a', pattern(CLUSTER)))
    refused(vm, "'devlist' is required")
    equal(len(vm.whole_backup(devlist='n0').devices), 1, 'devices')


def test_daemon_needs_devlist(t):
    """In the storage daemon the list is required."""
    source, target = os.pipe()
    vm = t.daemon('--blockdev', 'driver=null-co,node-name=n0',
                  pass_fds=[target])
    os.close(target)
    try:
        vm.backup(backup_file='fd:%d' % target)
    except QmpError as err:
        check("'devlist' is required" in str(err), str(err))
    else:
        raise Failure('no error')
    equal(os.read(source, 1), b'', 'bytes in the pipe')
    os.close(source)


def test_configs(t):
    """Every mistake in the configs has its message."""
    vm = setup(t)
    t.raw('large', bytes(65536))
    os.mkdir(t.path('folder'))
    os.mkfifo(t.path('fifo'))
    t.raw('bad\nname', b'x')
    for name, text in (
            ('missing', "Could not open '%s'" % t.path('missing')),
            ('large', "config 'large' is larger than 65535 bytes"),
            ('folder', 'is not a regular file'),
            ('fifo', 'is not a regular file'),
            ('bad\nname', 'the config name contains a control character')):
        refused(vm, text, config_file=t.path(name))
    good = {'name': 'x', 'data': b64(b'x')}
    for configs, text in (
            ([{'name': 'x', 'data': '*'}], "config 'x': "),
            ([good, good], "there are two configs named 'x'"),
            ([{'name': '', 'data': ''}], 'the config name must be 1 to 255'),
            ([{'name': 256 * 'x', 'data': ''}],
             'the config name must be 1 to 255'),
            ([{'name': 'x', 'data': b64(bytes(65536))}],
             "config 'x' is larger than 65535 bytes"),
            ([dict(good, name='n%d' % i) for i in range(257)],
             'at most 256 configs')):
        refused(vm, text, configs=configs)
    equal(vm.whole_backup(configs=[good]).configs, {'x': b'x'}, 'configs')


def test_numbers(t):
    """Numbers out of range are refused."""
    vm = setup(t)
    refused(vm, "'speed' must not be negative", speed=-1)
    for timeout in (-1, 1 << 40):
        refused(vm, "'timeout' must be between 0 and", timeout=timeout)


def test_backup_file(t):
    """What is no descriptor is refused."""
    vm = setup(t)
    for name, text in (
            ('/tmp/x', "is not of the form 'fd:NAME'"),
            ('fd:', "is not of the form 'fd:NAME'"),
            ('fd:nobody', "named 'nobody' has not been found"),
            ('fd:9999', 'not the number of an open descriptor'),
            ('fd:1x', 'not the number of an open descriptor')):
        try:
            vm.backup(backup_file=name)
        except QmpError as err:
            check(text in str(err), '%r is not in %r' % (text, str(err)))
        else:
            raise Failure('no error for ' + name)


def test_wrong_descriptor(t):
    """What cannot carry a stream is refused, whatever it is."""
    vm = setup(t)
    source, target = os.pipe()
    refused(vm, 'is not open for writing', fd=source)
    with open(t.path('file'), 'wb') as file:
        refused(vm, 'neither a pipe nor a socket', fd=file.fileno())
    with open('/dev/null', 'wb') as file:
        refused(vm, 'neither a pipe nor a socket', fd=file.fileno())
    with socket.socket(socket.AF_UNIX) as sock:
        refused(vm, 'the socket is not connected', fd=sock.fileno())
        sock.bind(t.path('socket'))
        sock.listen()
        refused(vm, 'the socket is not connected', fd=sock.fileno())
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        refused(vm, 'not a stream socket', fd=theirs.fileno())
        ours.close()
        theirs.close()
    os.close(source)
    os.close(target)
    vm.whole_backup()


def test_only_one(t):
    """A second backup is refused while one is active, and does not disturb
    it."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(1 << 20))))
    reader = Reader(vm.to_pipe(speed=65536))
    source, target = os.pipe()
    vm.qmp.getfd(target)
    os.close(target)
    try:
        vm.backup()
    except QmpError as err:
        equal(str(err), 'A backup is already running', 'message')
    else:
        raise Failure('no error')
    equal(os.read(source, 1), b'', 'bytes in the pipe')
    os.close(source)
    equal(vm.status()['status'], 'active', 'status')
    vm.full_speed()
    check(reader.result().device('d0').image == pattern(1 << 20), 'contents')
    vm.end('done')


def test_only_one_number(t):
    """The descriptor of an active backup cannot be taken for another one."""
    source, target = os.pipe()
    vm = t.machine(*disk('d0', t.raw('a', pattern(1 << 20))),
                   pass_fds=[target])
    os.close(target)
    name = 'fd:%d' % target
    vm.backup(backup_file=name, speed=65536)
    reader = Reader(os.fdopen(source, 'rb', 0))
    try:
        vm.backup(backup_file=name)
    except QmpError as err:
        equal(str(err), 'A backup is already running', 'message')
    else:
        raise Failure('no error')
    vm.full_speed()
    reader.result()
    vm.end('done')


def test_set_speed(t):
    """The limit cannot be negative, nor changed when no backup is running."""
    vm = t.machine(*disk('d0', t.raw('a', pattern(1 << 20))))

    def refused_speed(speed, text):
        try:
            vm.qmp.cmd('backup-set-speed', speed=speed)
        except QmpError as err:
            equal(str(err), text, 'message')
        else:
            raise Failure('no error')

    refused_speed(1, 'No backup is running')
    reader = Reader(vm.to_pipe(speed=1))
    refused_speed(-1, "Parameter 'speed' must not be negative")
    equal(vm.status()['speed'], 1, 'speed')
    vm.qmp.cmd('backup-set-speed', speed=0)
    reader.result()
    vm.end('done')
    refused_speed(0, 'No backup is running')
