# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU and what reads its stream: readers that are slow in odd ways, or die at
every point, and the real programs, from the disks of a machine to files that
equal them.

The programs are those in the folder of $VMA_SINK, or in the Makefile's B.
"""

import glob
import os
import random
import signal
import socket
import subprocess
import time

from during import SIZE, small_pipe
from harness import (CLUSTER, Failure, QmpError, Reader, Skip, check, disk,
                     equal, pattern)
from stream import END, Incomplete, Stream

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')
SINK = os.environ.get('VMA_SINK') or os.path.join(
    ROOT, os.environ.get('B') or 'build', 'vma-sink')
SLOW_DUMP = '--speed=64K'   # the first chunk goes at once, the next ones later


# Readers


def test_odd_reader(t):
    """A reader that takes random amounts at random times from a pipe of one
    page gets everything, while the guest writes."""
    data = pattern(SIZE)
    vm = t.machine('-object', 'iothread,id=io0',
                   *disk('d0', t.raw('a', data), iothread='io0'),
                   *disk('d1', t.raw('b', pattern(SIZE, 2))))
    source, target = small_pipe()
    vm.qmp.getfd(target)
    os.close(target)
    rng = random.Random(1)

    class Odd:
        def read(self, size):
            if rng.random() < 0.02:
                time.sleep(rng.random() / 50)
            return os.read(source, min(size, rng.choice(
                (1, 31, 33, 512, 4095, 4096, 4097, 65536))))

        def close(self):
            os.close(source)

    vm.backup()
    reader = Reader(Odd())
    for i in range(16):
        vm.io('d0', 'aio_write -q -P 0x%x %d 16k' % (i + 1, (63 - i) * 61440))
    vm.io('d0', 'aio_flush')
    result = reader.result()
    check(result.device('d0').image == data, 'd0')
    check(result.device('d1').image == pattern(SIZE, 2), 'd1')
    vm.end('done')


class Counted:
    """Reads no more than so many bytes"""

    def __init__(self, source, size):
        self._source = source
        self.left = size

    def read(self, size):
        data = self._source.read(min(size, self.left)) if self.left else b''
        self.left -= len(data)
        return data


def test_reader_dies_anywhere(t):
    """Wherever the reader dies, around the bounds of preamble and records: the
    guest's writes succeed, the backup is an error, and nothing is left.

    What the pipe holds counts as read: within its size of the end the backup
    may be done."""
    size = 3 * CLUSTER + 512
    data = pattern(size)
    data[CLUSTER:2 * CLUSTER] = bytes(CLUSTER)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    before = vm.leftovers()
    with vm.to_pipe() as source:
        whole = Stream(source)
        whole.read_preamble()
        bounds = [0, 64, whole.offset]
        while whole.read_record() != END:
            bounds.append(whole.offset)
        bounds.append(whole.offset)
    vm.end('done')
    total = bounds[-1]
    places = sorted({place for bound in bounds
                     for place in (bound - 1, bound, bound + 1, bound + 16,
                                   bound + 31, bound + 32, bound + 33)
                     if 0 <= place < total})
    check(len(places) >= 40, '%d places' % len(places))
    for place in places:
        source, target = small_pipe()
        vm.qmp.getfd(target)
        os.close(target)
        vm.backup()
        vm.io('d0', 'aio_write -q -P 0x11 %d 1k' % (3 * CLUSTER - 512))
        with os.fdopen(source, 'rb', 0) as file:
            counted = Counted(file, place)
            try:
                Stream(counted).read_all()
            except Incomplete:
                pass
            else:
                raise Failure('complete after %d bytes' % place)
            equal(counted.left, 0, 'left at %d' % place)
        vm.io('d0', 'aio_flush')
        while vm.status()['status'] not in ('done', 'error'):
            time.sleep(0.001)
        info = vm.status()
        check(info['status'] == 'error' or total - place <= 4096,
              'done after %d of %d bytes' % (place, total))
        check(info['status'] == 'done' or 'Broken pipe' in info['errmsg'],
              repr(info))
        equal(vm.leftovers(), before, 'left after %d bytes' % place)
    data[3 * CLUSTER - 512:3 * CLUSTER + 512] = b'\x11' * 1024
    check(vm.whole_backup().device('d0').image == data, 'the next backup')


EMPTY = ['empty%d' % i for i in range(200)]


def stopped_before_end(t, timeout):
    """A backup whose data is read, but not the ends of its devices, which a
    pipe of one page does not hold"""
    data = pattern(CLUSTER)
    args = disk('d0', t.raw('a', data))
    for name in EMPTY:
        args += ['-blockdev', 'driver=null-co,size=0,node-name=' + name]
    vm = t.machine(*args)
    before = vm.leftovers()
    source, target = small_pipe()
    vm.qmp.getfd(target)
    os.close(target)
    vm.backup(timeout=timeout, devlist=','.join(['d0'] + EMPTY))
    source = os.fdopen(source, 'rb', 0)
    stream = Stream(source)
    stream.read_preamble()
    stream.read_record()
    while vm.status()['status'] != 'completing':
        time.sleep(0.001)
    # the disk has no filter any more, so the guest does not wait
    start = time.monotonic()
    vm.io('d0', 'write -P 1 0 64k')
    vm.qmp.cmd('stop')
    vm.qmp.cmd('cont')
    check(time.monotonic() - start < 0.5, 'the guest had to wait')
    equal(vm.status()['status'], 'completing', 'status')
    return vm, before, stream, source


def has_no_end(stream):
    try:
        while stream.read_record() != END:
            pass
    except Incomplete as err:
        return err
    raise Failure('the stream is complete')


def test_stops_before_end(t):
    """A reader that stops when all data is read is given up, too."""
    vm, before, stream, _source = stopped_before_end(t, 1)
    check('within 1 seconds' in vm.end('error')['errmsg'], 'errmsg')
    has_no_end(stream)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.whole_backup()


def test_reads_on_before_end(t):
    """If it reads on in time, the backup is complete."""
    vm, before, stream, _source = stopped_before_end(t, 10)
    while stream.read_record() != END:
        pass
    vm.end('done')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_cancel_before_end(t):
    """Meanwhile the backup can be cancelled."""
    vm, before, stream, _source = stopped_before_end(t, 0)
    vm.qmp.wait(vm.qmp.send('backup-cancel', oob=True))
    vm.end('cancelled', timeout=2)
    has_no_end(stream)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.whole_backup()


def test_dies_before_end(t):
    """Or the reader dies, and the backup fails."""
    vm, before, _stream, source = stopped_before_end(t, 10)
    source.close()
    vm.end('error', timeout=2)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.whole_backup()


def test_quit_before_end(t):
    """Or QEMU ends, at once."""
    vm, _before, stream, _source = stopped_before_end(t, 0)
    vm.qmp.send('quit')
    equal(vm.process.wait(2), 0, 'exit code')
    has_no_end(stream)


def test_most_disks(t):
    """A backup has at most 254 disks."""
    names = ['n%d' % i for i in range(255)]
    args = []
    for name in names:
        args += ['-blockdev', 'driver=null-co,read-zeroes=on,size=512,'
                 'node-name=' + name]
    vm = t.machine(*args)
    before = vm.leftovers()
    try:
        vm.to_pipe(devlist=','.join(names))
    except QmpError as err:
        equal(str(err), 'a backup can have at most 254 devices', 'message')
    else:
        raise Failure('no error')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    result = vm.whole_backup(devlist=','.join(names[1:]))
    equal(sorted(result.devices), list(range(1, 255)), 'ids')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


# The real programs


class Chain:
    """A machine with a monitor on a socket, and programs"""

    def __init__(self, t, *args):
        self._test = t
        self.programs = {}
        folder = os.path.dirname(os.path.abspath(SINK))
        for name in ('vma-dump', 'vma-sink', 'vma-restore'):
            path = os.path.join(folder, name)
            if not os.access(path, os.X_OK):
                raise Skip('%s is not built' % os.path.relpath(path))
            self.programs[name] = path
        self.socket = t.path('qmp')
        self.archive = t.path('archive.vma')
        self.vm = t.machine('-qmp', 'unix:%s,server=on,wait=off' % self.socket,
                            *args)

    def start(self, name, *args, stdin=None, stdout=None):
        """Start a program; what it says to stderr is in the file NAME"""
        with open(self._test.path(name), 'wb') as log:
            process = subprocess.Popen(
                [self.programs[name], *args],
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or subprocess.DEVNULL, stderr=log)

        def end():
            process.kill()
            process.wait()

        self._test.cleanup(end)
        return process

    def said(self, name):
        with open(self._test.path(name), encoding='utf-8') as log:
            return log.read()

    def sink(self):
        """Start vma-sink; return it and what to write its stream to"""
        source, target = os.pipe()
        process = self.start('vma-sink', '-o', self.archive, stdin=source)
        os.close(source)
        return process, target

    def dump(self, *args):
        """Start vma-dump and vma-sink, wait for the point in time"""
        sink, target = self.sink()
        dump = self.start('vma-dump', '--qmp', self.socket, *args,
                          stdout=target)
        os.close(target)
        deadline = time.monotonic() + 10
        while self.vm.status()['status'] != 'active':
            check(time.monotonic() < deadline and dump.poll() is None,
                  'the backup does not start: ' + self.said('vma-dump'))
            time.sleep(0.01)
        return dump, sink

    def ends(self, process, name, expected, text=''):
        """The program ends with this exit code and says this"""
        code = process.wait(20)
        said = self.said(name)
        equal(code, expected, 'exit code of %s (%s)' % (name, said))
        check(text in said, '%r is not in %r' % (text, said))

    def nothing_stored(self):
        equal(glob.glob(glob.escape(self.archive) + '*') +
              glob.glob(os.path.dirname(self.archive) + '/.*'), [],
              'files of the archive')

    def restored(self):
        """The disks in the archive, by name"""
        folder = self._test.path('restored')
        os.mkdir(folder)
        self.ends(self.start('vma-restore', 'verify', self.archive),
                  'vma-restore', 0)
        self.ends(self.start('vma-restore', 'extract', self.archive, folder),
                  'vma-restore', 0)
        disks = {}
        for name in os.listdir(folder):
            check(name.startswith('disk-') and name.endswith('.raw'), name)
            with open(os.path.join(folder, name), 'rb') as file:
                disks[name[5:-4]] = file.read()
        return disks


def two_disks(t):
    data = [pattern(SIZE + 512, 1), pattern(SIZE // 2, 2)]
    data[0][1 << 20:2 << 20] = bytes(1 << 20)
    chain = Chain(t, *disk('d0', t.raw('a', data[0])),
                  *disk('d1', t.raw('b', data[1])))
    return chain, data, chain.vm.leftovers()


def chain_is_healthy(chain, data, before):
    """The guest writes, nothing is left, and the next backup is stored"""
    vm = chain.vm
    vm.io('d0', 'write -P 0x99 0 64k')
    data[0][:CLUSTER] = b'\x99' * CLUSTER
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    sink, target = chain.sink()
    dump = chain.start('vma-dump', '--qmp', chain.socket, stdout=target)
    os.close(target)
    chain.ends(dump, 'vma-dump', 0)
    chain.ends(sink, 'vma-sink', 0)
    check(chain.restored() == {'d0': data[0], 'd1': data[1]},
          'the next backup')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_whole_chain(t):
    """From two disks, which a guest goes on writing, to a restored archive
    that equals them as they were at the start."""
    chain, data, before = two_disks(t)
    chain.vm.io('d0', 'write -P 0x31 3M 512k')
    data[0][3 << 20:(3 << 20) + (1 << 19)] = b'\x31' * (1 << 19)
    dump, sink = chain.dump(SLOW_DUMP)
    for i in range(20):
        chain.vm.io('d0', 'write -P 0x32 %d 70000' % (i * 200704 + 512))
        chain.vm.io('d1', 'write -P 0x33 %d 4k' % (i * 102400))
    equal(chain.vm.status()['status'], 'active', 'status')
    chain.vm.full_speed()
    chain.ends(dump, 'vma-dump', 0)
    chain.ends(sink, 'vma-sink', 0)
    check(chain.restored() == {'d0': data[0], 'd1': data[1]},
          'the disks differ')
    equal(chain.vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_dump_waits_for_answer(t):
    """With --answer vma-dump succeeds when the archive is stored, and else
    tells why vma-sink has failed."""
    chain, data, before = two_disks(t)
    config = t.raw('vm.conf', b'cores: 2')
    # A name that is there twice is found when the preamble has been read.
    for options, code, words in (([], 0, ''),
                                 (['-c', config], 1, 'failed: cannot add')):
        ends = socket.socketpair()
        sink = chain.start('vma-sink', '-f', '-o', chain.archive, *options,
                           stdin=ends[0])
        dump = chain.start('vma-dump', '--qmp', chain.socket, '--answer',
                           *options, stdout=ends[1])
        for end in ends:
            end.close()
        chain.ends(dump, 'vma-dump', code, words)
        chain.ends(sink, 'vma-sink', 2 if code else 0)
        equal(chain.vm.leftovers(), before, 'nodes, jobs, descriptors')
    check(chain.restored() == {'d0': data[0], 'd1': data[1]},
          'the disks differ')


def command(t, chain, *lines):
    """Start vma-dump with a command, a script of these lines, whose process is
    then in the file "pid"; and return it"""
    path = t.path('command')
    with open(path, 'w', encoding='utf-8') as script:
        script.write('\n'.join(['#!/bin/sh', "echo $$ > '%s'" % t.path('pid'),
                                *lines, '']))
    os.chmod(path, 0o755)
    return chain.start('vma-dump', '--qmp', chain.socket, '--to',
                       "'%s'" % path)


def test_dump_to_command(t):
    """With --to QEMU writes to the command, and what its vma-sink says of the
    archive is what vma-dump says."""
    chain, data, before = two_disks(t)
    sink = "exec '%s' -o '%s'" % (chain.programs['vma-sink'], chain.archive)
    chain.ends(command(t, chain, sink), 'vma-dump', 0, 'committed: ')
    check(chain.restored() == {'d0': data[0], 'd1': data[1]},
          'the disks differ')
    equal(chain.vm.leftovers(), before, 'nodes, jobs, descriptors')
    chain.ends(command(t, chain, 'read line', sink), 'vma-dump', 1,
               'not committed: QEMU failed: ')
    chain.ends(command(t, chain, 'exit 3'), 'vma-dump', 1,
               'has ended with exit code 3')
    equal(chain.vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_command_is_killed(t):
    """A command that dies when it has read all has not said whether it has
    stored it."""
    chain, _data, before = two_disks(t)
    got = t.raw('got', b'')
    dump = command(t, chain, "exec cat > '%s'" % got)
    end = b''
    while not end.startswith(b'QBSr\4'):
        time.sleep(0.01)
        with open(got, 'rb') as file:
            end = file.read()[-80:]
    with open(t.path('pid'), encoding='ascii') as file:
        os.kill(int(file.read()), signal.SIGKILL)
    chain.ends(dump, 'vma-dump', 5, 'it is not known whether')
    check('was killed by SIGKILL' in chain.said('vma-dump'), 'no reason')
    equal(chain.vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_qemu_is_killed(t):
    """When QEMU is killed, vma-sink stores nothing and says that the stream
    ended early, and so does vma-dump."""
    chain, _data, _before = two_disks(t)
    dump, sink = chain.dump(SLOW_DUMP)
    chain.vm.process.kill()
    chain.ends(sink, 'vma-sink', 4)
    chain.ends(dump, 'vma-dump', 1, 'lost the connection')
    chain.nothing_stored()


def test_dump_is_killed(t):
    """When vma-dump is killed, the backup goes on without it, and is stored
    whole."""
    chain, data, before = two_disks(t)
    dump, sink = chain.dump(SLOW_DUMP)
    dump.kill()
    dump.wait()
    start = time.monotonic()
    chain.vm.io('d0', 'write -P 0x41 2M 512k')
    check(time.monotonic() - start < 1, 'the guest had to wait')
    chain.vm.full_speed()
    chain.ends(sink, 'vma-sink', 0)
    chain.vm.end('done')
    check(chain.restored() == {'d0': data[0], 'd1': data[1]},
          'the disks differ')
    equal(chain.vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_dump_is_killed_and_again(t):
    """A backup whose vma-dump was killed is in the way of the next one only
    until it is cancelled."""
    chain, data, before = two_disks(t)
    dump, sink = chain.dump(SLOW_DUMP)
    dump.kill()
    dump.wait()
    source, target = os.pipe()
    dump = chain.start('vma-dump', '--qmp', chain.socket, stdout=target)
    os.close(target)
    chain.ends(dump, 'vma-dump', 1, 'already running')
    equal(os.read(source, 1), b'', 'what the second reader got')
    os.close(source)
    chain.vm.qmp.cmd('backup-cancel')
    chain.ends(sink, 'vma-sink', 4, 'the backup was cancelled')
    chain.nothing_stored()
    chain.vm.end('cancelled')
    chain_is_healthy(chain, data, before)


def test_dump_is_interrupted(t):
    """An interrupted vma-dump cancels the backup: nothing is stored, and
    vma-sink says why."""
    chain, data, before = two_disks(t)
    for number in (signal.SIGINT, signal.SIGTERM):
        dump, sink = chain.dump(SLOW_DUMP)
        dump.send_signal(number)
        chain.ends(dump, 'vma-dump', 1, 'interrupted')
        chain.ends(sink, 'vma-sink', 4, 'the backup was cancelled')
        chain.vm.end('cancelled')
        chain.nothing_stored()
    chain_is_healthy(chain, data, before)


def test_sink_is_killed(t):
    """When vma-sink is killed, vma-dump says so, and the guest does not
    notice."""
    chain, data, before = two_disks(t)
    dump, sink = chain.dump(SLOW_DUMP)
    sink.kill()
    sink.wait()
    chain.vm.io('d0', 'write -P 0x51 2M 512k')
    data[0][2 << 20:(2 << 20) + (1 << 19)] = b'\x51' * (1 << 19)
    chain.ends(dump, 'vma-dump', 1, 'Broken pipe')
    check(not os.path.exists(chain.archive), 'an archive')
    chain_is_healthy(chain, data, before)


def test_sink_stops(t):
    """When vma-sink stops for longer than --timeout, vma-dump says so, and
    nothing is stored."""
    chain, data, before = two_disks(t)
    sink, target = chain.sink()
    sink.send_signal(signal.SIGSTOP)
    dump = chain.start('vma-dump', '--qmp', chain.socket, '--timeout=1',
                       stdout=target)
    os.close(target)
    chain.ends(dump, 'vma-dump', 1, 'within 1 seconds')
    chain.vm.io('d0', 'write -P 0x51 2M 512k')
    data[0][2 << 20:(2 << 20) + (1 << 19)] = b'\x51' * (1 << 19)
    sink.send_signal(signal.SIGCONT)
    chain.ends(sink, 'vma-sink', 4)
    chain.nothing_stored()
    chain_is_healthy(chain, data, before)


def test_second_disk_fails(t):
    """A disk that cannot be read fails the whole backup with that error, which
    vma-sink tells as well."""
    chain = Chain(
        t, *disk('d0', t.raw('a', pattern(SIZE))),
        '-blockdev', 'driver=blkdebug,node-name=bad,image.driver=file,'
        'image.filename=%s,inject-error.0.event=none,'
        'inject-error.0.iotype=read,inject-error.0.errno=5,'
        'inject-error.0.sector=4096' % t.raw('b', pattern(SIZE, 2)),
        '-device', 'virtio-blk-pci,id=d1,drive=bad')
    before = chain.vm.leftovers()
    sink, target = chain.sink()
    dump = chain.start('vma-dump', '--qmp', chain.socket, stdout=target)
    os.close(target)
    text = "cannot read device 'd1': Input/output error"
    chain.ends(dump, 'vma-dump', 1, text)
    chain.ends(sink, 'vma-sink', 4, text)
    chain.nothing_stored()
    equal(chain.vm.leftovers(), before, 'nodes, jobs, descriptors')
    sink, target = chain.sink()
    dump = chain.start('vma-dump', '--qmp', chain.socket, '-d', 'd0',
                       stdout=target)
    os.close(target)
    chain.ends(dump, 'vma-dump', 0)
    chain.ends(sink, 'vma-sink', 0)
    check(chain.restored() == {'d0': pattern(SIZE)}, 'the next backup')
