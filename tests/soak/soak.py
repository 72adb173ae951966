#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Backups over and over, by all kinds of readers, of disks that are written to
at full speed.  Reports in TAP.

usage: soak.py [--seconds N] [--guest FOLDER] BUILD

BUILD is QEMU's build folder.  There is a qemu-storage-daemon whose clients know
what they have written: of each backup that succeeds it is told exactly which
writes are in it, and that nothing else is.  With --guest there is also the
guest of tests/demo, with its disks in FOLDER: of it the file systems, the files
and the order over the disks are checked.  Both go by turns through all readers,
without a local image between disk and stream (direct) and with one (fleecing);
the guest also with vma-dump, which reads from QEMU's NBD server (nbd).

Whatever happens to a backup, no client and no guest may see an error, nor wait
for a write for longer than the timeout of the backup and a margin; with an
image in between and without a backup, for longer than the margin.
"""

import argparse
import array
import collections
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '../qemu'))

# pylint: disable=wrong-import-position
import harness                      # noqa: E402
import stream                       # noqa: E402
import unpatched                    # noqa: E402
import writer                       # noqa: E402
from harness import check, equal    # noqa: E402
from unpatched import qbs           # noqa: E402
# pylint: enable=wrong-import-position

BLOCK = writer.BLOCK
TIMEOUT = 2             # of a backup whose reader is to be given up
LONG_TIMEOUT = 30       # of the others
MARGIN = 5              # for a busy machine
TAIL = 1536             # bytes that make a short last cluster; nobody writes
LIFE = 100              # backups until the daemon is started again

# name -> how the backups end
READERS = {
    'fast': 'done',
    'slow': 'done',
    'stops': 'error',
    'drips': 'error',
    'dies': 'error',
    'cancelled': 'cancelled',
    'full': 'error',                    # not the reader: the local image
}
METHODS = 'direct', 'fleecing', 'nbd'
# What is in a pipe nobody can tell from what was read.
PIPE_BYTES = 2 << 20
# A phase for each method and reader, and the last one for between the backups
PHASES = [(method, kind) for method in METHODS for kind in READERS]
IDLE = len(PHASES)


def timeout_of(kind):
    return TIMEOUT if kind in ('stops', 'drips') else LONG_TIMEOUT


def bound(phase):
    """How long a write may take"""
    if phase == IDLE or PHASES[phase][0] != 'direct':
        return MARGIN
    return timeout_of(PHASES[phase][1]) + MARGIN


class Source:
    """Our end of the pipe, as a reader of that kind reads it"""

    def __init__(self, fd, kind, rate, limit):
        self._fd = fd
        self._kind = kind
        self._rate = rate       # bytes per second, None: as fast as it can
        self._limit = limit     # bytes until something happens, None: never
        self.let_go = threading.Event()

    def read(self, size):
        size = min(size, 65536)
        if self._limit is not None and self._limit <= 0:
            if self._kind == 'dies':
                self.close()
                return b''
            self.let_go.wait()
            return b''
        if self._rate:
            size = min(size, max(512, self._rate // 20))
            self.let_go.wait(size / self._rate)
        data = os.read(self._fd, size)
        if self._limit is not None:
            self._limit -= len(data)
        return data

    def close(self):
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def source_of(kind, rng, size, rate):
    """The arguments of Source"""
    return {
        'fast': (kind, None, None),
        'slow': (kind, rate, None),
        'full': (kind, rate, None),
        'stops': (kind, None, rng.randrange(size // 2)),
        'drips': (kind, 20000, None),
        'dies': (kind, rng.choice((None, rate)),
                 rng.randrange(size - PIPE_BYTES)),
        'cancelled': (kind, rate, None),
    }[kind]


class HashedStream(qbs.Reader):
    """What vma-dump writes itself, as stream.Stream"""

    def __init__(self, source):
        super().__init__(source, self._keep)
        self.complete = False

    @staticmethod
    def _keep(device, offset, data):
        device.image[offset:offset + len(data)] = data

    def read_all(self):
        self.read_preamble()
        for device in self.devices.values():
            device.image = bytearray(device.size)
        while self.read_record() != qbs.END:
            pass
        self.complete = True


class Backup:
    """By QEMU's command"""

    def __init__(self, subject, method, kind):
        self._subject = subject
        arguments = {'devlist': subject.devlist, 'timeout': timeout_of(kind)}
        if method == 'fleecing':
            arguments['fleecing'] = [
                {'device': device, 'node': image} for device, image in
                zip(subject.devlist.split(','), subject.full_images
                    if kind == 'full' else subject.images)]
        self.fd, arguments['backup_file'] = subject.pipe()
        self._arguments = arguments
        self.stream_of = stream.Stream
        self.expected = READERS[kind]

    def start(self):
        self._subject.qemu.backup(**self._arguments)

    def cancel(self):
        self._subject.qemu.qmp.cmd('backup-cancel')

    def wait(self):
        """How it has ended"""
        deadline = time.monotonic() + 300
        while True:
            info = self._subject.qemu.status()
            if info['status'] in ('done', 'cancelled', 'error'):
                return info['status'], info
            check(time.monotonic() < deadline, 'no end: %r' % info)
            time.sleep(0.05)


class NbdBackup:
    """By vma-dump, which has no timeout: a reader that stops or drips is
    awaited until the user gives up"""

    def __init__(self, subject, kind):
        self._subject = subject
        self._argv = [unpatched.DUMP, '--qmp', subject.second_monitor,
                      '--method=nbd', '--fleecing', subject.test.dir]
        for device in subject.devlist.split(','):
            self._argv += ['-d', device]
        if kind == 'full':
            self._argv.append('--fleecing-size=1M')
        self.stream_of = HashedStream
        self._gives_up = kind in ('stops', 'drips')
        self.expected = 'cancelled' if self._gives_up else READERS[kind]
        self.fd, self._target = os.pipe()

    def start(self):
        self._process = subprocess.Popen(self._argv, stdout=self._target,
                                         stderr=subprocess.PIPE)
        self._subject.test.cleanup(self._process.kill)
        os.close(self._target)

    def cancel(self):
        self._process.terminate()

    def wait(self):
        if self._gives_up:
            time.sleep(TIMEOUT)
            self.cancel()
        message = self._process.communicate(timeout=300)[1].decode()
        if self._process.returncode == 0:
            return 'done', message
        # It may be that it has just been started.
        cancelled = ('interrupted' in message or
                     self._process.returncode == -signal.SIGTERM)
        return ('cancelled' if cancelled else 'error'), message


class StreamReader(harness.Reader):
    """Of either kind of stream"""

    def __init__(self, source, stream_of):      # not the other one's
        threading.Thread.__init__(self, daemon=True)
        self._source = source
        self.stream = stream_of(source)
        self.error = None
        self.start()


class Subject:
    """What is backed up; a thread that does it until the time is over"""

    size = 0            # of the data, roughly
    rate = 0            # of a slow reader
    methods = METHODS[:2]

    def __init__(self, test, seconds, seed):
        self.test = test
        self.rng = random.Random(seed)
        self.deadline = time.monotonic() + seconds
        self.counts = collections.Counter()     # (method, kind, state)
        self.failure = None
        self.qemu = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.start()
            while not self._over():
                for method in self.methods:
                    kinds = list(READERS)
                    self.rng.shuffle(kinds)
                    for kind in kinds:
                        if not self._over():
                            self._backup(method, kind)
            self.stop()
        except Exception as err:    # pylint: disable=broad-except
            self.failure = err
            sys.excepthook(*sys.exc_info())

    def _over(self):
        return time.monotonic() > self.deadline

    def _backup(self, method, kind):
        if kind == 'full' and method == 'direct':
            return
        backup = (NbdBackup(self, kind) if method == 'nbd'
                  else Backup(self, method, kind))
        left = self._left()
        before = self.mark()
        self.phase(PHASES.index((method, kind)))
        backup.start()
        after = self.mark()
        source = Source(backup.fd, *source_of(kind, self.rng, self.size,
                                              self.rate))
        reader = StreamReader(source, backup.stream_of)
        if kind == 'cancelled':
            time.sleep(self.rng.random() ** 4 * self.size / self.rate / 2)
            backup.cancel()
        state, info = backup.wait()
        check(state == backup.expected, '%s, %s: %r' % (method, kind, info))
        equal(self._left(), left, 'nodes and jobs after ' + kind)
        self.phase(IDLE)
        source.let_go.set()
        reader.join(60)
        check(not reader.is_alive(), 'the stream does not end')
        self.counts[method, kind, state] += 1
        equal(reader.stream.complete and not reader.error,
              state == 'done', 'complete stream of a backup that is ' + state)
        if state == 'done':
            self.compare(reader.stream, before, after)
        self.healthy()

    def wait_for(self, condition):
        deadline = time.monotonic() + LONG_TIMEOUT + MARGIN
        while not condition():
            self.healthy()
            check(time.monotonic() < deadline, 'nothing is written')
            time.sleep(0.01)

    def _left(self):
        return (sorted(node['node-name'] for node in
                       self.qemu.qmp.cmd('query-named-block-nodes')),
                self.qemu.qmp.cmd('query-jobs'))


class Daemon(Subject):
    """A qemu-storage-daemon with two disks and writers, each of which has its
    part of both disks"""

    devlist = 'a,b'
    images = 'fa', 'fb'
    full_images = 'xa', 'xb'
    writers = 2
    blocks = 1024               # of each writer, on each disk

    size = 2 * writers * blocks * BLOCK

    def __init__(self, test, seconds, rate, seed=1):
        self.rate = rate
        self.life = 0
        self.controls = []
        self.processes = []
        self.histograms = collections.defaultdict(
            lambda: [[0] * writer.BUCKETS, 0.0])
        self.compared = 0
        for disk in range(2):
            with open(self._path(test, disk), 'wb') as file:
                for number in range(self.writers):
                    file.write(writer.contents(self._base(number)) *
                               self.blocks)
                file.write(b'\x55' * TAIL)
        super().__init__(test, seconds, seed)

    def _path(self, test, disk):
        return test.path('disk-' + 'ab'[disk])

    def _base(self, number):
        """The stamp of the writer's number 0"""
        return ((number + 1) << 56) | (self.life << 40)

    def start(self):
        self.life += 1
        self._pipes = [os.pipe() for _ in range(LIFE)]
        path = self.test.path('nbd')
        size = os.path.getsize(self._path(self.test, 0))
        args = ['--nbd-server', 'addr.type=unix,addr.path=' + path]
        for name in 'ab':
            image = self.test.path('image-' + name)
            with open(image, 'wb') as file:
                file.truncate(size)
            args += [
                '--object', 'iothread,id=io' + name,
                '--blockdev', 'driver=file,node-name=%s,discard=unmap,'
                'filename=%s' % (name, self.test.path('disk-' + name)),
                '--blockdev', 'driver=file,node-name=f%s,discard=unmap,'
                'filename=%s' % (name, image),
                '--blockdev', 'driver=blkdebug,node-name=x%s,'
                'image.driver=null-co,image.size=%d,inject-error.0.event=none,'
                'inject-error.0.iotype=write,inject-error.0.errno=28' %
                (name, size),
                '--export', 'nbd,id=%s,node-name=%s,writable=on,iothread=io%s'
                % (name, name, name)]
        self.qemu = self.test.daemon(
            *args, pass_fds=[target for _, target in self._pipes])
        for _, target in self._pipes:
            os.close(target)
        self._start_writers(path)

    def _start_writers(self, path):
        self.controls, self.processes, self._replay = [], [], []
        self._stamps = [array.array('Q'), array.array('Q')]
        for disk in range(2):
            with open(self._path(self.test, disk), 'rb') as file:
                for _ in range(self.writers * self.blocks):
                    self._stamps[disk].frombytes(file.read(BLOCK)[:8])
        for number in range(self.writers):
            control = self.test.path('control-%d-%d' % (self.life, number))
            self.controls.append(writer.Control(control))
            self.controls[-1].set('phase', IDLE)
            self._replay.append([0, writer.writes(self._base(number),
                                                  self.blocks)])
            self.processes.append(subprocess.Popen(
                [sys.executable, os.path.join(HERE, 'writer.py'), path,
                 control, 'a', 'b', str(number * self.blocks),
                 str(self.blocks), str(self._base(number))],
                stdout=subprocess.PIPE))
            self.test.cleanup(self.processes[-1].kill)
            # a client that connects during a drain can make the server hang
            self.processes[-1].stdout.readline()

    def pipe(self):
        if not self._pipes:
            self.stop()
            self.start()
        source, target = self._pipes.pop()
        return source, 'fd:%d' % target

    def mark(self):
        return [(control.get('done'), control.get('begun'))
                for control in self.controls]

    def phase(self, number):
        """From here on the writes count for that; those before are over"""
        for control in self.controls:
            control.set('phase', number)
        for control in self.controls:
            begun = control.get('begun')
            self.wait_for(lambda c=control, n=begun: c.get('done') > n)

    def healthy(self):
        for process, control in zip(self.processes, self.controls):
            check(not control.get('errors') and process.poll() is None,
                  'a client has failed')

    def compare(self, result, before, after):
        self._compare([result.device(name).image for name in 'ab'],
                      [done for done, _ in before],
                      [begun for _, begun in after])
        self.compared += 1

    def _compare(self, images, least, most):
        """The images hold, of each writer, the writes up to one, and nothing
        else"""
        for number in range(self.writers):
            base = self._base(number)
            part = range(number * self.blocks, (number + 1) * self.blocks)
            stamps = []
            for image in images:
                found = array.array('Q')
                for block in part:
                    data = bytes(image[block * BLOCK:(block + 1) * BLOCK])
                    check(data == data[:8] * (BLOCK // 8),
                          'block %d is a mixture' % block)
                    found.frombytes(data[:8])
                stamps.append(found)
            last = max([value - base for found in stamps for value in found
                        if base < value <= base + writer.SEQUENCE] or [0])
            check(least[number] <= last <= most[number],
                  'writer %d: the last write is %d, not in %d to %d' %
                  (number, last, least[number], most[number]))
            self._advance(number, last)
            for disk in range(2):
                check(stamps[disk] == self._stamps[disk][part[0]:part[-1] + 1],
                      'writer %d: a write before number %d is missing on disk '
                      '%d, or a later one is there' % (number, last, disk))
        for image in images:
            equal(bytes(image[-TAIL:]), b'\x55' * TAIL, 'the last cluster')

    def _advance(self, number, last):
        replay = self._replay[number]
        while replay[0] < last:
            disk, block, count = next(replay[1])
            replay[0] += 1
            block += number * self.blocks
            for i in range(block, block + count):
                self._stamps[disk][i] = self._base(number) + replay[0]

    def stop(self):
        """All that was written is on the disks"""
        self.healthy()
        for control in self.controls:
            control.set('stop', 1)
        for process in self.processes:
            equal(process.wait(30), 0, 'exit code of a client')
            process.stdout.close()
        self.qemu.qmp.cmd('quit')
        equal(self.qemu.process.wait(30), 0, 'exit code of the daemon')
        done = [done for done, _ in self.mark()]
        images = []
        for disk in range(2):
            with open(self._path(self.test, disk), 'rb') as file:
                images.append(file.read())
        self._compare(images, done, done)
        for phase in range(IDLE + 1):
            total = self.histograms[phase]
            for control in self.controls:
                counts, longest = control.histogram(phase)
                total[0] = [a + b for a, b in zip(total[0], counts)]
                total[1] = max(total[1], longest)
        for source, _ in self._pipes:
            os.close(source)
        self._pipes = []


class Guest(Subject):
    """The guest of tests/demo"""

    devlist = 'drive-virtio0,drive-virtio1'
    images = 'f0', 'f1'
    full_images = 'x0', 'x1'
    size = 48 << 20
    methods = METHODS

    def __init__(self, test, seconds, folder, rate, seed=2):
        self.folder = folder
        self.second_monitor = os.path.join(folder, 'control.qmp')
        self.rate = rate
        self.compared = 0
        self.slowest = collections.Counter()    # ms, by phase
        self._phase = IDLE
        self._seen = 0
        self._stopped = False
        super().__init__(test, seconds, seed)

    def _bash(self, commands, *args):
        return subprocess.run(
            ['bash', '-c', '. "$0"; GUEST_SERIAL=serial.log; ' + commands,
             os.path.join(HERE, '../demo/guest-lib.sh'), *args],
            cwd=self.folder, stdout=subprocess.PIPE, check=True).stdout

    def start(self):
        program = self.test.program('qemu-system-x86_64')
        argv = self._bash('guest_args "$1"; printf "%s\\0" "${GUEST_ARGS[@]}"',
                          program).split(b'\0')[:-1]
        path = os.path.join(self.folder, 'vm.qmp')
        with open(os.path.join(self.folder, 'serial.log'), 'wb'):
            pass
        with open(os.path.join(self.folder, 'qemu.log'), 'wb') as log:
            self.process = subprocess.Popen(argv, cwd=self.folder,
                                            stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        self.test.cleanup(self.process.kill)
        deadline = time.monotonic() + 180
        while self.slowest_write() is None or not os.path.exists(path):
            check(self.process.poll() is None, 'QEMU has ended')
            check(time.monotonic() < deadline, 'the guest does not start')
            time.sleep(0.2)
        sock = socket.socket(socket.AF_UNIX)
        here = os.open(self.folder, os.O_PATH)
        sock.connect('/proc/self/fd/%d/vm.qmp' % here)
        os.close(here)
        self.qemu = harness.Process.__new__(harness.Process)
        self.qemu._test = self.test     # pylint: disable=protected-access
        self.qemu.qmp = harness.Qmp(sock)
        for number, name in enumerate('ab'):
            size = os.path.getsize(os.path.join(self.folder,
                                                'disk-%s.raw' % name))
            image = self.test.path('guest-image-' + name)
            with open(image, 'wb') as file:
                file.truncate(size)
            self.qemu.qmp.cmd('blockdev-add', driver='file', filename=image,
                              node_name=self.images[number], discard='unmap')
            self.qemu.qmp.cmd(
                'blockdev-add', driver='blkdebug',
                node_name=self.full_images[number],
                image={'driver': 'null-co', 'size': size},
                inject_error=[{'event': 'none', 'iotype': 'write',
                               'errno': 28}])

    def slowest_write(self):
        """In the new reports, in ms; None: there are none"""
        try:
            lines = self._bash('guest_reports').split(b'\n')[:-1]
        except subprocess.CalledProcessError:
            return None
        new, self._seen = lines[self._seen:], len(lines)
        return max([int(line.split()[1]) for line in new], default=None)

    def pipe(self):
        source, target = os.pipe()
        self.qemu.qmp.getfd(target)
        os.close(target)
        return source, 'fd:stream'

    def mark(self):
        return None

    def phase(self, number):
        """The same; what was begun before is in the next report"""
        slowest = [self.slowest_write()]
        self.wait_for(lambda: slowest.append(self.slowest_write()) or
                      slowest[-1] is not None)
        self.slowest[self._phase] = max(self.slowest[self._phase],
                                        *(ms or 0 for ms in slowest))
        self._phase = number

    def healthy(self):
        check(self.process.poll() is None, 'QEMU has ended')
        equal(self._bash('guest_complaints'), b'', 'the guest complains')

    def compare(self, result, _before, _after):
        paths = []
        with tempfile.TemporaryDirectory(dir=self.test.dir) as folder:
            for device in result.devices.values():
                paths.append(os.path.join(folder, device.name))
                with open(paths[-1], 'wb') as file:
                    for start in range(0, device.size, harness.CLUSTER):
                        data = device.image[start:start + harness.CLUSTER]
                        if any(data):
                            file.seek(start)
                            file.write(data)
                    file.truncate(device.size)
            self._bash('check_guest_copy "$@" > "$3/log" || '
                       '{ cat "$3/log" >&2; exit 1; }', *paths, folder)
        self.compared += 1

    def stop(self):
        self.phase(IDLE)
        self.healthy()
        for node in self.images + self.full_images:
            self.qemu.qmp.cmd('blockdev-del', node_name=node)
        self.qemu.qmp.cmd('quit')
        equal(self.process.wait(60), 0, 'exit code of QEMU')


def quantile(counts, part):
    """Of a histogram, in ms"""
    left = part * sum(counts)
    for number, count in enumerate(counts):
        left -= count
        if left < 0:
            return 1e3 * writer.bucket_seconds(number)
    return 0.0


def print_counts(subject):
    for method in subject.methods:
        print('# %s: %s' % (method, ', '.join(
            '%s %s %d' % (kind, state, count) for (m, kind, state), count in
            sorted(subject.counts.items()) if m == method)))
    print('# %d backups, %d of them done and compared' %
          (sum(subject.counts.values()), subject.compared))


def names(phase):
    return PHASES[phase] if phase < IDLE else ('no backup', '')


def daemon_report(subject):
    """Prints the table; returns the longest write of each phase in seconds"""
    print_counts(subject)
    print('# %-9s %-10s %9s %9s %9s %9s   (ms)' %
          ('', '', 'writes', 'p50', 'p99', 'longest'))
    for phase in [IDLE] + list(range(IDLE)):
        counts, longest = subject.histograms[phase]
        if sum(counts):
            print('# %-9s %-10s %9d %9.3f %9.3f %9.1f' %
                  (*names(phase), sum(counts), quantile(counts, 0.5),
                   quantile(counts, 0.99), 1e3 * longest))
    return {phase: longest
            for phase, (_, longest) in subject.histograms.items()}


def guest_report(subject):
    print_counts(subject)
    for phase, slowest in sorted(subject.slowest.items()):
        print('# %-9s %-10s slowest write %d ms' % (*names(phase), slowest))
    return {phase: slowest / 1e3
            for phase, slowest in subject.slowest.items()}


def verdict(number, name, subject, report):
    ok = not subject.failure and not subject.thread.is_alive()
    if subject.thread.is_alive():
        print('# the backups do not end')
    for phase, longest in report(subject).items():
        if longest > bound(phase):
            print('# %s %s: a write took %.2f s, more than %d s' %
                  (*names(phase), longest, bound(phase)))
            ok = False
    ok = ok and subject.compared > 0
    print('%s %d - soak/%s' % ('ok' if ok else 'not ok', number, name))
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seconds', type=int, default=20, metavar='N')
    parser.add_argument('--guest', metavar='FOLDER')
    parser.add_argument('build', metavar='BUILD')
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.stdout.reconfigure(line_buffering=True)

    folder = tempfile.mkdtemp(prefix='soak-')
    test = harness.Test(os.path.abspath(args.build), folder)
    # A slow backup takes a fifth of a short run, but no less than 1 MB/s.
    rate = max(1000000, 5 * Daemon.size // max(1, args.seconds))
    subjects = []
    try:
        subjects.append(('daemon', Daemon(test, args.seconds, rate),
                         daemon_report))
        if args.guest:
            subjects.append(('guest', Guest(test, args.seconds,
                                            os.path.abspath(args.guest),
                                            4 * rate), guest_report))
        print('TAP version 13\n1..%d' % len(subjects))
        for _, subject, _ in subjects:
            subject.thread.join(args.seconds + 400)
        oks = [verdict(number, *subject) for number, subject in
               enumerate(subjects, 1)]
    finally:
        test.finish()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(oks) else 1


if __name__ == '__main__':
    sys.exit(main())
