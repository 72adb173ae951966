# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to the machine while the reader of a backup has stopped: nothing
waits for longer than the timeout."""

import subprocess
import time

from during import (BUS, SIZE, SLACK, TIMEOUT, clean, incomplete, one_disk,
                    scsi, to_small_pipe, wait_event)
from harness import CLUSTER, Failure, check, disk, equal, pattern


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
