# SPDX-License-Identifier: GPL-2.0-or-later
"""vma-dump --method=nbd: the backup of a QEMU that has no patches.  Run with
the patched ones as well, for none of it may depend on that.

The same promises as for the other method: one point in time, a guest that
notices nothing, a stream that never passes for more than it is, and nothing left
behind."""

import argparse
import os
import signal
import socket
import subprocess
import threading
import time

from during import wait_migration
from harness import CLUSTER, QmpError, check, disk, equal, pattern
from unpatched import ROOT, SIZE, Host, parts, qbs, wrong_clusters

import fake_agent       # found where unpatched looks

LIMIT = '--fleecing-size=1M'        # which 512 KiB of data do not fit into


def one_disk(t, size=SIZE):
    data = pattern(size)
    return Host(t, *disk('d0', t.raw('a', data))), data


def guest_writes(vm, data, name='d0', seed=7):
    """The whole disk anew, without an error"""
    for offset in range(0, len(data), 1 << 20):
        count = min(1 << 20, len(data) - offset)
        vm.io(name, 'write -q -P 0x%x %d %d' % (seed, offset, count))
    vm.io(name, 'read -q -P 0x%x 0 %d' % (seed, len(data)))


def works(vm, seed=7):
    """The next backup has what the guest wrote, and leaves nothing"""
    images = vm.dump().start().read()
    check(images['d0'] == bytes([seed]) * len(images['d0']), 'the next backup')
    vm.clean()


def delete_node(vm, name):
    """As soon as its device, which is going, does not use it any more"""
    while True:
        try:
            return vm.qmp.cmd('blockdev-del', node_name=name)
        except QmpError as err:
            check('in use' in str(err), str(err))
            time.sleep(0.01)


# Contents


def test_contents(t):
    """Disks of odd sizes, raw and qcow2 and with holes, in an iothread or not,
    are in the stream as they are."""
    data = pattern(SIZE + CLUSTER + 512)
    data[3 * CLUSTER:9 * CLUSTER] = bytes(6 * CLUSTER)
    t.img('convert', '-O', 'qcow2', t.raw('a', data), t.path('b'))
    odd = pattern(CLUSTER - 512, 2)
    vm = Host(t, '-object', 'iothread,id=io0', *disk('d0', t.path('a')),
              *disk('d1', t.path('b'), 'qcow2', iothread='io0'),
              *disk('d2', t.raw('c', odd)),
              *disk('d3', t.raw('d', bytes(SIZE)), iothread='io0'))
    dump = vm.dump().start()
    images = dump.read()
    equal(list(images), ['d0', 'd1', 'd2', 'd3'], 'devices')
    check(images['d0'] == data, 'raw')
    check(images['d1'] == data, 'qcow2')
    check(images['d2'] == odd, 'less than a cluster')
    check(images['d3'] == bytes(SIZE), 'zeroes')
    vm.clean()


def test_holes_are_not_read(t):
    """A terabyte that is a hole takes no time, and no space in the images; a
    QEMU before 8.2.1, which can't tell what is one, reads a gigabyte of it."""
    t.img('create', '-q', '-f', 'qcow2', t.path('a'), '1T')
    vm = Host(t, *disk('d0', t.path('a'), 'qcow2'))
    middle = 512 << 30
    if vm.version < (8, 3):
        vm.qmp.cmd('block_resize', node_name='d0-node', size=1 << 30)
        middle = 512 << 20
    vm.io('d0', 'write -q -P 1 %d 64k' % middle)
    dump = vm.dump(LIMIT)
    dump.reader.read_preamble()
    kinds = []
    for device in dump.reader.devices.values():
        dump.images[device.name] = found = {}
        dump.on_data = None
        dump.reader._on_data = lambda _d, o, b: found.update({o: b})
        while not device.ended:
            kinds.append(dump.reader.read_record())
    dump.reader.read_record()
    equal(found, {middle: b'\1' * CLUSTER}, 'data')
    check(len(kinds) < 10 or vm.version < (8, 3), '%d records' % len(kinds))
    equal(dump.wait(), 0, 'exit code')
    vm.clean()


def test_choice_and_names(t):
    """All writable disks of the guest, each by the name of its -drive, its
    device or its node; or those that are asked for, by any of them."""
    vm = Host(t, '-device', 'virtio-scsi-pci', '-drive',
              'if=none,id=drive0,format=raw,file=' + t.raw('a', pattern(512)),
              '-device', 'scsi-hd,id=x,drive=drive0',
              *disk('d0', t.raw('b', pattern(1024))),
              '-blockdev', 'driver=file,node-name=n0,filename=' +
              t.raw('c', pattern(1536)), '-device', 'scsi-hd,drive=n0',
              '-blockdev', 'driver=file,node-name=unused,filename=' +
              t.raw('d', pattern(2048)), '-blockdev',
              'driver=file,node-name=ro,read-only=on,filename=' +
              t.raw('e', pattern(2048)), '-device', 'scsi-hd,id=y,drive=ro')
    images = vm.dump().start().read()
    equal({name: len(image) for name, image in images.items()},
          {'drive0': 512, 'd0': 1024, 'n0': 1536}, 'devices')
    images = vm.dump('-d', 'unused', '-d', 'd0-node', '-d', 'x').start().read()
    equal([(name, len(image)) for name, image in images.items()],
          [('unused', 2048), ('d0-node', 1024), ('x', 512)], 'named')
    vm.dump('-d', 'z').fails("'z' not found")
    vm.dump('-d', 'y').fails("'y' is read-only")
    vm.dump('-d', 'x', '-d', 'drive0').fails('listed twice')
    vm.clean()


# The point in time


def test_point_in_time(t):
    """What the guest writes after the start, zeroes and discards included, is
    not in the backup, on no disk and in no cluster."""
    data = [pattern(SIZE), pattern(SIZE + CLUSTER // 2, 2)]
    vm = Host(t, '-object', 'iothread,id=io0',
              *disk('d0', t.raw('a', data[0])),
              *disk('d1', t.raw('b', data[1]), iothread='io0'))
    dump = vm.dump().start()
    for name in ('d0', 'd1'):
        vm.io(name, 'write -q -P 3 0 700k')
        vm.io(name, 'write -q -z 700k 400k')
        vm.io(name, 'discard -q 1M 512k')
        vm.io(name, 'write -q -P 4 %d 512' % (SIZE - 512))
    guest_writes(vm, data[0])
    guest_writes(vm, data[1], 'd1')
    images = dump.read()
    check(images['d0'] == data[0], 'd0 again')
    check(images['d1'] == data[1], 'd1 again')
    vm.clean()


def test_point_in_time_of_parts(t):
    """Nor what it writes in many small places, with others in between."""
    size = 8 << 20
    data = pattern(size)
    data[3 << 20:4 << 20] = bytes(1 << 20)
    t.img('convert', '-O', 'qcow2', t.raw('a', data), t.path('b'))
    vm = Host(t, *disk('d0', t.path('a')), *disk('d1', t.path('b'), 'qcow2'))
    dump = vm.dump().start()
    for number, write in enumerate(parts(size)):
        vm.io('d%d' % (number % 2), write)
    images = dump.read()
    equal(wrong_clusters(images['d0'], data), [], 'd0')
    equal(wrong_clusters(images['d1'], data), [], 'd1')
    vm.clean()


def test_order_over_disks(t):
    """A number is written to one disk, then to the other: whenever a backup
    starts, the second disk is never ahead in it."""
    vm = Host(t, '-object', 'iothread,id=io0',
              *disk('d0', t.raw('a', bytes(CLUSTER))),
              *disk('d1', t.raw('b', bytes(CLUSTER)), iothread='io0'))
    done = []
    last = 0

    def guest():
        number = 0
        while not done:
            number = number % 255 + 1
            for name in ('d0', 'd1'):
                vm.io(name, 'write -q -P 0x%x 0 512' % number)

    thread = threading.Thread(target=guest)
    thread.start()
    try:
        seen = set()
        for _ in range(10):
            images = vm.dump().start().read()
            first, second = images['d0'][0], images['d1'][0]
            check(first == second or first == second % 255 + 1,
                  'd0 has %d, d1 has %d' % (first, second))
            seen.add(first)
        last = len(seen)
    finally:
        done.append(True)
        thread.join()
    check(last > 1, 'the guest wrote nothing')
    vm.clean()


# What goes wrong


def test_image_full(t):
    """A temporary image that is full is the end of the backup, not of the
    guest's writes; the stream says so."""
    vm, data = one_disk(t, 4 << 20)
    dump = vm.dump(LIMIT).start()
    guest_writes(vm, data)
    why = dump.fails('No space left on device')
    check("disk 'd0'" in dump.message, dump.message)
    check(why and 'No space left' in why.message, 'ABORT: %s' % why)
    vm.clean()
    works(vm)


def test_image_full_at_the_end(t):
    """Whether it is full before or after the last read: a backup that succeeds
    is right."""
    data = pattern(15 * CLUSTER)
    vm = Host(t, *disk('d0', t.raw('a', data)))
    for number, seconds in enumerate((0, 0.01, 0.02, 0.03, 0.3), 1):
        dump = vm.dump(LIMIT).start()
        time.sleep(seconds)
        before = data
        guest_writes(vm, data, seed=number)
        data = bytes([number]) * len(data)
        try:
            image = dump.read()['d0']
            check(image == before, 'contents')
        except qbs.Aborted as err:
            equal((dump.wait(), 'No space left' in err.message), (1, True),
                  str(err))
        vm.clean()


def test_only_what_is_not_yet_read_is_kept(t):
    """What has been read takes no space in the images any more, however often
    it is written to."""
    vm = Host(t, *disk('d0', t.raw('a', pattern(16 << 20))),
              *disk('d1', t.raw('b', pattern(SIZE))))
    dump = vm.dump(LIMIT).start()
    dump.read_disk()
    vm.io('d0', 'write -q -P 9 0 8M')
    vm.io('d0', 'write -q -P 8 4M 8M')
    check(dump.read()['d1'] == pattern(SIZE), 'the other disk')
    vm.clean()


def test_unreadable_disk(t):
    """A disk that can't be read is the end of the backup; from QEMU 10.1 on a
    guest can also write where it is."""
    data = pattern(SIZE)
    vm = Host(t, '-blockdev', 'driver=blkdebug,node-name=d0-node,'
              'inject-error.0.event=none,inject-error.0.iotype=read,'
              'inject-error.0.sector=2048,image.driver=file,image.filename=' +
              t.raw('a', data), '-device', 'virtio-blk-pci,id=d0,drive=d0-node')
    dump = vm.dump().start()
    if vm.version >= (10, 1):
        vm.io('d0', 'write -q -P 1 1M 4k')
    dump.fails("cannot read 'd0' at offset")
    vm.clean()
    vm.io('d0', 'write -q -P 1 1M 4k')


def test_reader_dies(t):
    """A reader that is gone is the end of the backup, nothing else."""
    vm, data = one_disk(t)
    for number in range(3):
        dump = vm.dump().start()
        if number > 0:
            dump.reader.read_record()
        if number > 1:
            guest_writes(vm, data)
        dump.process.stdout.close()
        _, message = dump.process.communicate(timeout=30)
        equal(dump.process.returncode, 1, 'exit code')
        check(b'the reader has ended' in message, message)
        vm.clean()
    works(vm)


def test_signals(t):
    """SIGINT and SIGTERM end a backup whose reader waits, with an ABORT, and
    take everything down."""
    vm, data = one_disk(t)
    for number in (signal.SIGINT, signal.SIGTERM):
        dump = vm.dump('--speed=64K').start()
        guest_writes(vm, data)
        dump.process.send_signal(number)
        why = dump.fails('interrupted by ' + number.name)
        equal(why and why.reason, 2, 'reason of ABORT')
        vm.clean()
    works(vm)


def test_killed(t):
    """What is left of a vma-dump that was killed does the guest no harm, and is
    removed by the next one on its monitor, whatever it was killed in."""
    vm, data = one_disk(t)
    for delay in (0, 0.005, 0.01, 0.02, 0.03, 0.05, None):
        dump = vm.dump(LIMIT)
        if delay is None:
            dump.start()
        else:
            time.sleep(delay)
        dump.process.kill()
        dump.wait()
        equal(os.listdir(vm.folder), [], 'files')
        guest_writes(vm, data)
        works(vm)


def test_other_monitor(t):
    """A second backup of a QEMU is refused and does not disturb the first; nor
    does it remove what one that was killed on another monitor has left."""
    vm, data = one_disk(t)
    first = vm.dump().start()
    vm.dump(monitor=1).fails('NBD server')
    guest_writes(vm, data)
    check(first.read()['d0'] == data, 'the first one')
    vm.clean()
    first = vm.dump().start()
    first.process.kill()
    first.wait()
    vm.dump(monitor=1).fails('NBD server')
    works(vm)


def test_foreign_server(t):
    """An NBD server that somebody else runs is left alone, and named as the
    reason."""
    vm, _data = one_disk(t)
    vm.qmp.cmd('nbd-server-start', addr={
        'type': 'unix', 'data': {'path': t.path('nbd')}})
    vm.qmp.cmd('block-export-add', type='nbd', id_='x', node_name='d0-node',
               name_='x')
    vm.dump().fails('cannot start QEMU\'s NBD server')
    equal([e['id'] for e in vm.qmp.cmd('query-block-exports')], ['x'],
          'exports')
    equal(vm.leftovers()[0], vm.nodes, 'nodes')
    vm.qmp.cmd('nbd-server-stop')
    vm.dump().start().read()
    vm.clean()


def test_foreign_job(t):
    """A disk that is in use by another job is refused; none of the others is
    left in a backup."""
    vm = Host(t, *disk('d0', t.raw('a', pattern(SIZE))),
              *disk('d1', t.raw('b', pattern(SIZE))))
    vm.qmp.cmd('blockdev-add', driver='null-co', node_name='null', size=SIZE)
    vm.qmp.cmd('blockdev-backup', job_id='other', device='d1-node',
               target='null', sync='full', speed=1)
    vm.dump().fails('cannot start the backup')
    equal([job['id'] for job in vm.qmp.cmd('query-jobs')], ['other'], 'jobs')
    vm.qmp.cmd('job-cancel', id_='other')
    while vm.qmp.cmd('query-jobs'):
        time.sleep(0.01)
    vm.qmp.cmd('blockdev-del', node_name='null')
    vm.clean()


def test_job_cancelled(t):
    """Who cancels a job of a backup is told of as the reason of its end."""
    vm, data = one_disk(t)
    dump = vm.dump('--speed=64K').start()
    job = vm.qmp.cmd('query-jobs')[0]['id']
    vm.qmp.cmd('job-cancel', id_=job)
    guest_writes(vm, data)
    check(dump.fails('has cancelled its job'), 'no ABORT')
    vm.clean()
    works(vm)


def test_unplug(t):
    """A disk of -blockdev that is unplugged stays in the backup to its end; one
    of -drive takes the backup with it."""
    data = pattern(SIZE)
    vm = Host(t, '-device', 'virtio-scsi-pci', '-blockdev',
              'driver=file,node-name=n0,filename=' + t.raw('a', data),
              '-device', 'scsi-hd,id=x,drive=n0', '-drive',
              'if=none,id=drive0,format=raw,file=' + t.raw('b', data),
              '-device', 'scsi-hd,id=y,drive=drive0')
    dump = vm.dump('-d', 'x').start()
    vm.io('/machine/peripheral/x', 'write -q -P 1 0 2M')
    vm.qmp.cmd('device_del', id_='x')
    check(dump.read()['x'] == data, 'contents')
    vm.clean()
    dump = vm.dump('--speed=64K', '-d', 'y').start()
    vm.qmp.cmd('device_del', id_='y')
    check(dump.fails("disk 'y'"), 'no ABORT')
    equal(vm.qmp.cmd('query-jobs'), [], 'jobs')
    vm.dump('-d', 'n0').start().read()


def test_machine_while_reader_stops(t):
    """While nobody reads the stream the machine can be stopped, continued and
    reset, and disks can be plugged in and out: none of it waits."""
    data = pattern(8 << 20)
    vm = Host(t, '-object', 'iothread,id=io0', '-device', 'virtio-scsi-pci',
              *disk('d0', t.raw('a', data), iothread='io0'),
              '-blockdev', 'driver=file,node-name=n0,filename=' +
              t.raw('b', data), '-device', 'scsi-hd,id=x,drive=n0')
    for name in ('x', 'd0'):
        dump = vm.dump('-d', name)
        dump.start()
        time.sleep(0.3)
        for command in ('stop', 'cont', 'system_reset'):
            vm.qmp.cmd(command)
        vm.qmp.cmd('blockdev-add', driver='null-co', node_name='new')
        vm.qmp.cmd('device_add', driver='scsi-hd', id_='y', drive='new')
        vm.qmp.cmd('device_del', id_='y')
        delete_node(vm, 'new')
        guest_writes(vm, data, 'd0' if name == 'd0' else
                     '/machine/peripheral/x')
        if name == 'x':
            vm.qmp.cmd('device_del', id_='x')
        dump.process.send_signal(signal.SIGTERM)
        dump.fails('interrupted')
        vm.clean()


def test_qemu_dies(t):
    """When QEMU is killed the stream says so, and vma-dump ends with 1."""
    vm, _data = one_disk(t)
    dump = vm.dump('--speed=64K').start()
    vm.process.kill()
    vm.process.wait()
    check(dump.fails(''), 'no ABORT')
    # Whichever is noticed first
    check("cannot read 'd0'" in dump.message or
          'lost the connection to monitor' in dump.message, dump.message)


def test_reset_stop_and_resize(t):
    """The machine can be reset, stopped and continued; a disk can't be
    resized."""
    data = pattern(SIZE)
    vm = Host(t, '-object', 'iothread,id=io0',
              *disk('d0', t.raw('a', data), iothread='io0'))
    running = vm.qmp.cmd('query-status')['running']
    dump = vm.dump().start()
    vm.qmp.cmd('system_reset')
    if running:
        vm.qmp.cmd('stop')
        vm.qmp.cmd('cont')
    try:
        vm.qmp.cmd('block_resize', node_name='d0-node', size=2 * SIZE)
    except QmpError:
        pass
    else:
        raise AssertionError('it was resized')
    guest_writes(vm, data)
    check(dump.read()['d0'] == data, 'contents')
    vm.clean()
    vm.qmp.cmd('system_reset')
    works(vm)


def test_migrated(t):
    """A migration fails, also of a disk that no device uses, which nobody may
    write to elsewhere; the guest and the backup go on, and afterwards it can be
    migrated."""
    data = pattern(8 << 20)
    vm = Host(t, *disk('d0', t.raw('a', data)),
              '-blockdev', 'driver=file,node-name=unused,filename=' +
              t.raw('b', data))
    for name in ('d0', 'unused'):
        dump = vm.dump('-d', name).start()
        vm.qmp.cmd('migrate', uri='exec:cat > ' + t.path('state'))
        equal(wait_migration(vm), 'failed', 'migration')
        guest_writes(vm, data)
        check(dump.read()[name] == data, 'contents')
        vm.clean()
    vm.qmp.cmd('migrate', uri='exec:cat > ' + t.path('state'))
    equal(wait_migration(vm), 'completed', 'migration')


def test_not_our_disks(t):
    """Before a migration has come in, and after one has gone out, the disks are
    another QEMU's and a backup is refused."""
    vm, data = one_disk(t)
    t.dir, folder = t.path('target'), t.dir
    os.mkdir(t.dir)
    target = Host(t, *disk('d0', os.path.join(folder, 'a')),
                  '-incoming', 'defer')
    t.dir = folder
    vm.qmp.cmd('migrate', uri='exec:cat > ' + t.path('state'))
    equal(wait_migration(vm), 'completed', 'migration')
    for machine in vm, target:
        machine.dump().fails("its disks are another QEMU's")
        machine.clean()
    target.qmp.cmd('migrate-incoming', uri='exec:cat ' + t.path('state'))
    while target.qmp.cmd('query-status')['status'] == 'inmigrate':
        time.sleep(0.02)
    check(target.dump().start().read()['d0'] == data, 'the backup')


def test_io_threads(t):
    """Disks in I/O threads are in the backup too; a QEMU before 9.0, which they
    could abort, is refused, and goes on."""
    data = pattern(SIZE)
    vm = Host(t, '-object', 'iothread,id=other',
              *disk('d0', t.raw('a', data)))
    if vm.version < (9, 0):
        vm.dump().fails('is older than 9.0 and has I/O threads')
    else:
        check(vm.dump().start().read()['d0'] == data, 'contents')
    guest_writes(vm, data)
    vm.clean()


def test_no_folder(t):
    """A folder that does not exist is an error, and nothing is left."""
    vm, _data = one_disk(t)
    os.rmdir(vm.folder)
    vm.dump().fails('cannot create a temporary image')
    os.mkdir(vm.folder)
    vm.clean()


def test_too_small(t):
    """Less than an image needs for itself is refused."""
    vm, _data = one_disk(t)
    vm.dump('--fleecing-size=1').fails("can't be 1", 2)
    vm.clean()


# The options


def test_other_exports(t):
    """An export of another kind than NBD's is no reason to leave the server
    on, which the next backup would take for somebody else's."""
    vm, data = one_disk(t, CLUSTER)
    vm.qmp.cmd('blockdev-add', driver='null-co', node_name='other',
               size=1 << 20)
    try:
        vm.qmp.cmd('block-export-add', type='vhost-user-blk', id='other',
                   node_name='other',
                   addr={'type': 'unix', 'path': t.path('vu')})
    except QmpError as err:     # the unpatched one has more kinds
        check('does not accept' in str(err), str(err))
    for _ in range(2):
        check(vm.dump().start().read()['d0'] == data, 'contents')


def test_speed(t):
    """--speed is kept to."""
    vm, data = one_disk(t, 1 << 20)
    start = time.monotonic()
    check(vm.dump('--speed=1M').start().read()['d0'] == data, 'contents')
    check(time.monotonic() - start > 0.5, 'it was faster')


def test_timeout(t):
    """A reader who has stalled for --timeout ends the backup."""
    vm, data = one_disk(t)
    for options in ([], ['--answer']):
        dump = vm.dump('--timeout=1', *options).start()
        dump.process.wait(20)
        equal(dump.wait(), 1, 'exit code')
        check('did not take anything within 1 s' in dump.message, dump.message)
        vm.clean()
    check(vm.dump('--timeout=60').start().read()['d0'] == data, 'contents')
    vm.clean()


def test_auto(t):
    """Without a method it is the patches' where there are any."""
    vm, data = one_disk(t, CLUSTER)
    commands = [c['name'] for c in vm.qmp.cmd('query-commands')]
    check(vm.dump(method=None).start().read()['d0'] == data, 'contents')
    check(vm.dump(method='auto').start().read()['d0'] == data, 'contents')
    if 'backup' in commands:
        check(vm.dump(method='pipe').start().read()['d0'] == data, 'contents')
    else:
        vm.dump(method='pipe').fails("no command 'backup'")
    vm.clean()


def test_fsfreeze(t):
    """The guest's file systems are frozen for the transaction alone."""
    vm, data = one_disk(t)
    log = t.path('agent.log')
    agent = subprocess.Popen([os.path.join(ROOT, 'tests/lib/fake_agent.py'),
                              '--log', log, t.path('agent')])
    t.cleanup(agent.kill)
    while not os.path.exists(t.path('agent')):
        time.sleep(0.01)
    dump = vm.dump('--fsfreeze', t.path('agent')).start()
    words = open(log).read()
    check('guest-fsfreeze-freeze' in words, 'it is not frozen')
    check(words.rindex('guest-fsfreeze-thaw') >
          words.rindex('guest-fsfreeze-freeze'), 'it is not thawed')
    check(dump.read()['d0'] == data, 'contents')
    check('file systems frozen' in dump.message, dump.message)
    vm.clean()


class SnapshotAgent(fake_agent.Agent):
    """While it freezes somebody puts another image on top of the disk"""

    def __init__(self, vm, log, path):
        super().__init__(argparse.Namespace(
            log=log, stale='', frozen=False, times=0, silent_at=None,
            hang_at=None, die_at=None, refuse=None))
        self.vm = vm
        self.image = path + '.qcow2'
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            self.serve(self.listener.accept()[0])

    def cmd_guest_fsfreeze_freeze(self, arguments):
        self.vm.qmp.cmd('blockdev-snapshot-sync', node_name='d0-node',
                        snapshot_file=self.image, snapshot_node_name='top')
        return super().cmd_guest_fsfreeze_freeze(arguments)


def test_snapshot_before_the_point_in_time(t):
    """Where a disk has got another image on top by then the guest writes to
    that one: no backup is made of what is below."""
    vm, data = one_disk(t)
    SnapshotAgent(vm, t.path('agent.log'), t.path('agent'))
    vm.dump('--fsfreeze', t.path('agent')).fails("disks have changed")
    check('guest-fsfreeze-thaw' in open(t.path('agent.log')).read(), 'no thaw')
    check('top' in vm.leftovers()[0], 'no snapshot')
    vm.nodes = vm.leftovers()[0]
    guest_writes(vm, data)
    works(vm)


def test_answer(t):
    """--answer waits for what the reader says, when QEMU has nothing to do with
    the backup any more."""
    vm, data = one_disk(t, CLUSTER)
    for status, code in ((0, 0), (1, 1)):
        dump = vm.dump('--answer').start()
        dump.read_all()
        while vm.qmp.cmd('query-jobs'):
            time.sleep(0.01)
        guest_writes(vm, data)
        dump.answer(status, b'no space' if status else b'')
        equal(dump.wait(), code, 'exit code')
        equal('no space' in dump.message, bool(status), dump.message)
        vm.clean()


def test_configs(t):
    """Configuration files are carried."""
    vm, _data = one_disk(t, CLUSTER)
    dump = vm.dump('-c', t.raw('vm.conf', b'x')).start()
    dump.read()
    equal(dump.reader.configs, {'vm.conf': b'x'}, 'configs')


# The dirty bitmap


def bitmaps(vm, node='d0-node'):
    """name -> (clusters that are marked, whether it is stored)"""
    for info in vm.qmp.cmd('query-named-block-nodes', flat=True):
        if info['node-name'] == node:
            return {b['name']: (b['count'] // CLUSTER, b['persistent'])
                    for b in info.get('dirty-bitmaps', []) if 'name' in b}
    raise AssertionError('no node ' + node)


def test_bitmap(t):
    """A bitmap has all that is written from the point in time on, and only
    that; a qcow2 image keeps it."""
    t.img('convert', '-O', 'qcow2', t.raw('a', pattern(SIZE)), t.path('b'))
    vm = Host(t, '-object', 'iothread,id=io0', *disk('d0', t.path('a')),
              *disk('d1', t.path('b'), 'qcow2', iothread='io0'))
    for name in ('d0', 'd1'):
        vm.io(name, 'write -q -P 1 0 1M')
    dump = vm.dump('--bitmap=b').start()
    for name, start in (('d0', 3), ('d1', 4)):
        vm.io(name, 'write -q -P 2 %d 1' % (start * CLUSTER))
        vm.io(name, 'write -q -P 2 %d 2' % (9 * CLUSTER - 1))
    check('b' not in bitmaps(vm), 'it has its name too early')
    dump.read()
    check("bitmap of disk 'd0' will be gone" in dump.message, dump.message)
    check("disk 'd1'" not in dump.message, dump.message)
    check("bitmap 'b' begins with this backup" in dump.message, dump.message)
    vm.clean()
    equal(bitmaps(vm), {'b': (3, False)}, 'raw')
    equal(bitmaps(vm, 'd1-node'), {'b': (3, True)}, 'qcow2')
    vm.io('d1', 'write -q -P 2 0 128k')
    equal(bitmaps(vm, 'd1-node'), {'b': (5, True)}, 'later writes')
    vm.dump('--bitmap=c').start().read()
    equal(bitmaps(vm), {'b': (3, False), 'c': (0, False)}, 'two')
    vm.qmp.cmd('quit')
    vm.process.wait(30)
    info = subprocess.run([t.program('qemu-img'), 'info', t.path('b')],
                          check=True, stdout=subprocess.PIPE).stdout
    check(b'name: b\n' in info and b'name: c\n' in info, info)


def test_bitmap_point_in_time(t):
    """Of clusters that are each written once while backups start, those that
    the backup has not are those that are in its bitmap."""
    count = 4096
    vm = Host(t, *disk('d0', t.raw('a', bytes(count * CLUSTER))))
    written, enough = [], []

    def guest():
        for number in range(count):
            vm.io('d0', 'write -q -P 1 %d 512' % (number * CLUSTER))
            written.append(number)
            if enough:
                return

    def await_writes(number):
        while thread.is_alive() and len(written) < number:
            time.sleep(0.001)

    for name in ('b0', 'b1', 'b2'):
        vm.io('d0', 'write -q -z 0 %d' % (count * CLUSTER))
        thread = threading.Thread(target=guest)
        thread.start()
        await_writes(5)
        dump = vm.dump('--bitmap=' + name).start()
        await_writes(len(written) + 5)
        enough.append(True)
        thread.join()
        image = dump.read()['d0']
        there = sum(image[i * CLUSTER] for i in range(count))
        check(there >= 5, 'the guest had written %d clusters' % there)
        equal(bitmaps(vm)[name], (len(written) - there, False), 'marked')
        vm.clean()
        del written[:], enough[:]


def test_bitmap_exists(t):
    """A bitmap of that name is an error before anything happens, and left
    alone; so is a name that can't be one."""
    vm = Host(t, *disk('d0', t.raw('a', pattern(SIZE))),
              *disk('d1', t.raw('b', pattern(SIZE))))
    vm.qmp.cmd('block-dirty-bitmap-add', node='d1-node', name_='b')
    vm.dump('--bitmap=b').fails("disk 'd1' has a dirty bitmap 'b' already")
    vm.clean()
    equal((bitmaps(vm), bitmaps(vm, 'd1-node')), ({}, {'b': (0, False)}),
          'bitmaps')
    vm.dump('--bitmap=b', '-d', 'd0').start().read()
    equal(bitmaps(vm), {'b': (0, False)}, 'of another disk')
    vm.dump('--bitmap=' + 'x' * 256).fails("can't be the name", 2)
    vm.dump('--bitmap=vma-dump-x').fails("can't be the name", 2)


def test_bitmap_taken_meanwhile(t):
    """Where somebody makes a bitmap of that name while the backup runs, it is
    complete, and vma-dump says that there is none of its own."""
    vm, data = one_disk(t)
    dump = vm.dump('--bitmap=b').start()
    vm.qmp.cmd('block-dirty-bitmap-add', node='d0-node', name_='b')
    dump.read_all()
    equal(dump.wait(), 1, 'exit code')
    check('the backup is complete, and there is no dirty bitmap' in
          dump.message, dump.message)
    vm.clean()
    guest_writes(vm, data)
    works(vm)
    equal(list(bitmaps(vm)), ['b'], 'bitmaps')


def test_bitmap_of_no_backup(t):
    """Where the backup is not stored there is no bitmap, whatever has ended
    it."""
    vm, data = one_disk(t)
    dump = vm.dump('--bitmap=b', '--speed=64K').start()
    dump.process.send_signal(signal.SIGINT)
    dump.fails('interrupted')
    equal(bitmaps(vm), {}, 'interrupted')
    dump = vm.dump('--bitmap=b', '--speed=64K').start()
    dump.process.stdout.close()
    dump.process.communicate(timeout=30)
    equal(bitmaps(vm), {}, 'the reader has died')
    for status in (0, 1, None):
        dump = vm.dump('--answer', '--bitmap=b').start()
        dump.read_all()
        check('b' not in bitmaps(vm), 'it has its name too early')
        if status is None:
            dump.socket.shutdown(2)
        else:
            dump.answer(status, b'no space' if status else b'')
        equal(dump.wait(), 5 if status is None else status, 'exit code')
        equal(list(bitmaps(vm)), [] if status != 0 else ['b'], 'answered')
        if status == 0:
            vm.qmp.cmd('block-dirty-bitmap-remove', node='d0-node', name_='b')
        vm.clean()
    dump = vm.dump('--bitmap=b').start()
    dump.process.kill()
    dump.wait()
    check('b' not in bitmaps(vm), 'killed')
    guest_writes(vm, data)
    works(vm)
    equal(bitmaps(vm), {}, 'after the next one')


def test_bitmap_method(t):
    """A bitmap takes this method, also where QEMU has another one."""
    vm, data = one_disk(t)
    vm.dump('--bitmap=b', method='pipe').fails('takes the method nbd', 2)
    check(vm.dump('--bitmap=b', method=None).start().read()['d0'] == data,
          'contents')
    equal(bitmaps(vm), {'b': (0, False)}, 'bitmaps')
