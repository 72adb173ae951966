# SPDX-License-Identifier: GPL-2.0-or-later
"""vma-dump --fleecing with QEMU's own backup: vma-dump makes the temporary
images and removes them, QEMU uses them."""

import ctypes
import os
import signal
import socket

from harness import Skip, check, disk, equal, pattern
from test_nbd import LIMIT, guest_writes
from unpatched import Host, qbs


PIDFD_GETFD = 438


def host(t, size):
    """A machine with a disk, and what is on it"""
    data = pattern(size)
    vm = Host(t, *disk('d0', t.raw('a', data)))
    if 'backup' not in [c['name'] for c in vm.qmp.cmd('query-commands')]:
        raise Skip('it has no patches')
    dump = vm.dump(method='pipe')
    try:
        check(dump.start().read()['d0'] == data, 'contents')
    except qbs.Incomplete:
        dump.wait()
        if 'its patches are older' in dump.message:
            raise Skip('its patches know no images') from None
        raise
    vm.clean()
    return vm, data


def test_point_in_time(t):
    """A guest that writes its whole disk does not wait for a reader that does
    not read, and the backup has what was there before."""
    vm, data = host(t, 4 << 20)
    for method in ('pipe', 'auto', None):
        before = open(t.path('a'), 'rb').read()
        dump = vm.dump(method=method).start()
        guest_writes(vm, data, seed=len(method or ''))
        check(dump.read()['d0'] == before, 'contents')
        vm.clean()


def test_image_full(t):
    """An image that is full is the end of the backup, not of the guest's
    writes."""
    vm, data = host(t, 4 << 20)
    dump = vm.dump(LIMIT, method='pipe').start()
    guest_writes(vm, data)
    dump.fails('d0')
    vm.clean()
    equal(vm.dump(method='pipe').start().read()['d0'], b'\7' * len(data),
          'the next backup')


def test_killed(t):
    """A vma-dump that is killed leaves a backup that goes on; the images are
    removed by the next one."""
    vm, data = host(t, 4 << 20)
    dump = vm.dump('--speed=64K', method='pipe').start()
    dump.process.send_signal(signal.SIGKILL)
    guest_writes(vm, data)
    dump.process.stdout.close()
    dump.process.wait()
    while vm.qmp.cmd('query-jobs'):
        pass
    check(vm.dump(method='pipe').start().read()['d0'] == b'\7' * len(data),
          'the next backup')
    vm.clean()


def lose_monitor(pid):
    """Shuts down the only socket that a vma-dump has"""
    fds = '/proc/%d/fd/' % pid
    number, = [int(fd) for fd in os.listdir(fds)
               if os.readlink(fds + fd).startswith('socket:')]
    call = ctypes.CDLL(None, use_errno=True).syscall
    fd = call(PIDFD_GETFD, os.pidfd_open(pid), number, 0)
    check(fd >= 0, os.strerror(ctypes.get_errno()))
    socket.socket(fileno=fd).shutdown(socket.SHUT_RDWR)


def test_monitor_lost(t):
    """A vma-dump that loses its monitor gives up and leaves the images alone:
    the backup goes on, and has what was there before."""
    vm, data = host(t, 4 << 20)
    dump = vm.dump('--speed=1M', method='pipe').start()
    guest_writes(vm, data)
    lose_monitor(dump.process.pid)
    equal(dump.process.wait(timeout=60), 1, 'exit code')
    dump.read_all()
    check(dump.images['d0'] == data, 'contents')
