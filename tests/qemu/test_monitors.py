# SPDX-License-Identifier: GPL-2.0-or-later
"""Backups of a QEMU with several monitors."""

import os
import select
import socket
import time

from during import (SIZE, SLOW, TIMEOUT, goes_on, incomplete, refused,
                    to_small_pipe)
from harness import CLUSTER, Qmp, Reader, check, disk, equal, pattern
from stream import Aborted


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
