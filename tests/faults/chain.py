# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9, of each program of a backup of a QEMU whose disks are written to.

A guest writes numbered blocks to two disks, one after another.  So an archive
shows its point in time: it has all writes before one of them and none from that
one on, on both disks.

After each kill QEMU has what it had before, no more: jobs, nodes, exports,
descriptors; the guest goes on to write, and no write has failed; and the next
backup works, and is right.  With the method nbd what a vma-dump that was killed
has made in QEMU stays there until the next one: after that nothing is left.
"""

import copy
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '../qemu'))

# pylint: disable=wrong-import-position
import harness                  # noqa: E402
from unpatched import Host      # noqa: E402
from common import (DUMP, SINK, Folder, disks_of, listing, make_disk, read,
                    remove, verify)
from procs import PATIENCE, Row, kill
from remote import Remote, sinks, sshds

SIZES = {'n0': 4 << 20, 'n1': 2 << 20}
BLOCK = 4096
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')


def qemu_folder():
    """The build of a patched QEMU, or None"""
    series = os.environ.get('QEMU_SERIES', '10.0').split()[0]
    result = subprocess.run([os.path.join(ROOT, 'qemu-patch/build-qemu.sh'),
                             '--series', series, 'system'],
                            stdout=subprocess.PIPE, text=True)
    return result.stdout.strip() if result.returncode == 0 else None


def installed_folder():
    """That of the QEMU that is installed, which has no patches, or None"""
    program = shutil.which('qemu-system-x86_64')
    return program and os.path.dirname(program)


class Exports:
    """The disks, written to by QEMU's NBD server, of which it has one"""

    def __init__(self, vm, folder):
        path = folder.join('disks')
        remove(path)
        vm.qmp.cmd('nbd-server-start', addr={
            'type': 'unix', 'data': {'path': path}})
        for name in SIZES:
            vm.qmp.cmd('block-export-add', type='nbd', id='e-' + name,
                       node_name=name, name=name, writable=True)
        self._nbd = {name: harness.Nbd(path, name) for name in SIZES}

    def write(self, name, offset, data):
        self._nbd[name].write(offset, data)


class Devices:
    """The same by the guest's devices, through a monitor that nobody else uses:
    the method nbd needs the server"""

    def __init__(self, vm, folder):
        self._pattern = folder.join('pattern')
        self._vm = copy.copy(vm)    # but for its monitor
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(vm.sockets[1])
        self._vm.qmp = harness.Qmp(sock)

    def write(self, name, offset, data):
        with open(self._pattern, 'wb') as file:
            file.write(data)
        self._vm.io(name, 'write -q -s %s %d %d' % (self._pattern, offset,
                                                    len(data)))


class Guest(threading.Thread):
    """Writes blocks that tell their number"""

    def __init__(self, disks, way, first, seed):
        super().__init__(daemon=True)
        self.base = disks           # content by name, without the writes
        self.log = []               # (name, offset) of each write
        self.error = None
        self._first = first         # number of the log's first one
        self._way = way             # Exports or Devices
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._stopped = False
        self.start()

    def _block(self, index):
        return (self._first + index).to_bytes(8, 'big') * (BLOCK // 8)

    def run(self):
        try:
            while not self._stopped:
                with self._lock:
                    name = self._rng.choice(sorted(SIZES))
                    offset = self._rng.randrange(SIZES[name] // BLOCK) * BLOCK
                    self.log.append((name, offset))
                    self._way.write(name, offset,
                                    self._block(len(self.log) - 1))
                time.sleep(0.001)
        except Exception as err:    # pylint: disable=broad-except
            self.error = err

    def next_number(self):
        """No number is used twice, or an old block would look like a new one"""
        return self._first + len(self.log)

    def go_on(self):
        """Waits until it has written some more: None, or what is wrong"""
        enough = len(self.log) + 10
        deadline = time.monotonic() + PATIENCE
        while len(self.log) < enough and not self.error:
            if time.monotonic() > deadline:
                return 'its writes hang'
            time.sleep(0.002)
        return self.error

    def stop(self):
        self._stopped = True
        self.join(PATIENCE)

    def forget(self):
        """Takes what was written as given; no backup may be running"""
        with self._lock:
            for index, (name, offset) in enumerate(self.log):
                self.base[name][offset:offset + BLOCK] = self._block(index)
            self._first += len(self.log)
            self.log = []

    def is_point_in_time(self, disks, begun, ended):
        """Whether DISKS are what they were when between BEGUN and ENDED writes
        had been done"""
        if set(disks) != set(SIZES):
            return False
        last = 0
        for index, (name, offset) in enumerate(self.log):
            if disks[name][offset:offset + BLOCK] == self._block(index):
                last = index + 1
        then = {name: bytearray(data) for name, data in self.base.items()}
        for index, (name, offset) in enumerate(self.log[:last]):
            then[name][offset:offset + BLOCK] = self._block(index)
        return begun <= last <= ended and then == disks


class Qemu:
    """A QEMU with two disks and a guest; started anew when it was killed"""

    def __init__(self, folder, build, patches, seed):
        self._test = harness.Test(build, folder.path)
        self._seed = seed
        self.patches = patches      # whether they are used
        self.folder = folder
        self.guest = None
        self.vm = None
        for number, name in enumerate(SIZES):
            make_disk(folder.join(name), SIZES[name], seed * 2 + number)
        self.boot()

    def _start(self):
        args = []
        for name in SIZES:
            args += ['-blockdev', 'driver=file,node-name=%s,filename=%s' %
                     (name, self.folder.join(name)),
                     '-device', 'virtio-blk-pci,id=%s,drive=%s,share-rw=on' %
                     (name, name)]
        return Host(self._test, *args)

    def boot(self):
        if self.vm:
            os.rmdir(self.vm.folder)    # which has no temporary image any more
        self.vm = self._start()
        way = (Exports if self.patches else Devices)(self.vm, self.folder)
        self._seed += 1
        first = self.guest.next_number() if self.guest else 1
        self.guest = Guest({name: bytearray(read(self.folder.join(name)))
                            for name in SIZES}, way, first, self._seed)
        self.before = self.leftovers()

    def claims(self):
        """What of a backup does not go by itself"""
        nodes, jobs, _ = self.vm.leftovers()
        exports = [e['id'] for e in self.vm.qmp.cmd('query-block-exports')]
        return nodes, jobs, exports, self.vm.qmp.cmd('query-fdsets')

    def leftovers(self):
        """These, how many of a kind of descriptor there are, and the temporary
        images"""
        images = [path for path in self.vm.files() if self.vm.folder in path]
        return (self.claims(), len(self.vm.leftovers()[2]), images,
                os.listdir(self.vm.folder))

    def has_claims(self):
        return self.claims() != self.before[0]

    def is_running(self):
        return self.patches and self.vm.status()['status'] not in (
            'none', 'done', 'cancelled', 'error')

    def wait_for_end(self):
        """Of the backup, also of what vma-dump has left running"""
        deadline = time.monotonic() + PATIENCE
        while self.is_running():
            if time.monotonic() > deadline:
                raise RuntimeError('the backup does not end: %r' %
                                   self.vm.status())
            time.sleep(0.01)

    def is_as_before(self):
        """None, or what QEMU has too much; descriptors may need a moment"""
        deadline = time.monotonic() + 10
        while self.leftovers() != self.before:
            if time.monotonic() > deadline:
                return 'QEMU has %r, and had %r' % (self.leftovers(),
                                                    self.before)
            time.sleep(0.01)
        return None if self.patches else self._stop_server()

    def _stop_server(self):
        """None, or that there was one; that of Exports is not vma-dump's"""
        try:
            self.vm.qmp.cmd('nbd-server-stop')
        except harness.QmpError:
            return None
        return 'the NBD server runs'

    def end(self):
        self.guest.stop()
        self._test.finish()


class Backups:
    """Backups of a QEMU to store/x.vma, with or without ssh"""

    def __init__(self, qemu, remote, seed):
        self.qemu = qemu
        self.remote = remote
        self.path = qemu.folder.path
        self.archive = qemu.folder.join('store', 'x.vma')
        self.rng = random.Random(seed)
        self.seconds = 0.2
        os.mkdir(qemu.folder.join('store'))

    def start(self, answer, slow):
        row = Row(self.path)
        sink = [SINK, '--force', '-o', self.archive]
        if self.remote:
            source, target = os.pipe()
            sink = self.remote.ssh('exec ' + ' '.join(sink))
        else:
            source, target = [end.detach() for end in socket.socketpair()]
        dump = [DUMP, '--qmp', self.qemu.vm.sockets[0]]
        if not self.qemu.patches:
            dump += ['--method=nbd', '--fleecing', self.qemu.vm.folder]
        for name in SIZES:
            dump += ['-d', name]
        if answer and not self.remote:
            dump.append('--answer')
        if slow:
            dump.append('--speed=20M')
        try:
            row.start('vma-dump', dump, stdout=target)
            row.start('ssh' if self.remote else 'vma-sink', sink, stdin=source)
        finally:
            os.close(source)
            os.close(target)
        return row

    def is_right(self, begun):
        """Whether the archive is whole and of a point in time since BEGUN"""
        return (verify(self.archive) and self.qemu.guest.is_point_in_time(
            disks_of(self.archive, self.qemu.folder.join('tmp')), begun,
            len(self.qemu.guest.log)))

    def next_one(self):
        """A backup to which nothing happens: None, or what is wrong"""
        begun = max(0, len(self.qemu.guest.log) - 1)
        start = time.monotonic()
        row = self.start(False, False)
        codes = row.wait()
        self.seconds = time.monotonic() - start
        if any(codes.values()):
            return 'the next backup fails: %s' % row.said_by_all()
        if not self.is_right(begun):
            return 'the next archive is not right'
        deadline = time.monotonic() + 10
        while any("%s' looks left over" % name not in row.said_by_all()
                  for name in self.left()):
            if time.monotonic() > deadline:
                return 'left over: %s' % self.left()
            time.sleep(0.01)
        self.qemu.wait_for_end()
        return self.qemu.is_as_before()

    def left(self):
        return listing(self.qemu.folder.join('store')) - {'x.vma'}

    def is_held(self, row):
        """Whether QEMU was passed the stream and told no more: it keeps it until
        the next vma-dump comes, and what reads it waits"""
        reader = row.processes['ssh' if self.remote else 'vma-sink']
        since = begun = time.monotonic()
        while reader.poll() is None and time.monotonic() < since + 3:
            if time.monotonic() > begun + PATIENCE:
                return False
            if (self.qemu.is_running() or
                    self.qemu.leftovers() == self.qemu.before):
                since = time.monotonic()
            time.sleep(0.02)
        return reader.poll() is None

    def kill(self, row, victim):
        ssh = row.processes.get('ssh')
        find = {'sshd': sshds, 'vma-sink': sinks}.get(victim)
        if victim == 'QEMU':
            kill(self.qemu.vm.process.pid)
            self.qemu.vm.process.wait()
        elif ssh and find:
            while not find(ssh.pid) and ssh.poll() is None:
                time.sleep(0.002)
            for pid in find(ssh.pid):
                kill(pid)
        else:
            kill(row.processes[victim].pid)


def judge(backups, codes, begun, answer):
    """After a kill: 'none', 'whole', or what is wrong"""
    sink = codes['ssh' if backups.remote else 'vma-sink']
    if not os.path.exists(backups.archive):
        if sink == 0 or (answer and codes['vma-dump'] == 0):
            return 'success was told, and there is no archive'
        return 'none'
    return 'whole' if backups.is_right(begun) else 'the archive is not right'


def settle_held(tally, kind, backups, row):
    """The next backup ends the one that waits, which stores nothing"""
    wrong = backups.next_one()
    codes = row.wait()
    if not all(codes.values()):
        tally.bad(kind, 'lie', 'exit codes %s of half a backup' % codes)
    elif wrong:
        tally.bad(kind, 'left', wrong)
    else:
        tally.good(kind, 'named')


def kill_once(tally, kind, backups, victim):
    qemu = backups.qemu
    remove(backups.archive)
    qemu.guest.forget()
    answer = not backups.remote and backups.rng.random() < 0.5
    slow = backups.rng.random() < 0.5
    begun = max(0, len(qemu.guest.log) - 1)
    row = backups.start(answer, slow)
    wait = backups.rng.uniform(0, backups.seconds * (1.5 if slow else 1.1))
    time.sleep(wait)
    backups.kill(row, victim)
    if victim == 'vma-dump' and qemu.patches and backups.is_held(row):
        settle_held(tally, kind, backups, row)
        return
    codes = row.wait()
    row.wait_for_orphans(qemu.vm.process.pid)
    text = 'after %.3f s%s%s' % (wait, ', --answer' * answer, ', slow' * slow)
    if victim == 'QEMU':
        qemu.guest.stop()
        outcome = judge(backups, codes, begun, answer)
        qemu.boot()
    else:
        qemu.wait_for_end()
        outcome = judge(backups, codes, begun, answer)
    error = qemu.guest.go_on()
    named = not qemu.patches and victim == 'vma-dump' and qemu.has_claims()
    wrong = None if error or named else qemu.is_as_before()
    wrong = wrong or (None if error else backups.next_one())
    error = error or qemu.guest.error
    if error:
        tally.bad(kind, 'guest', '%s: %s' % (text, error))
        qemu.vm.kill()
        qemu.boot()
        return
    if outcome not in ('none', 'whole'):
        tally.bad(kind, 'lie', '%s: %s' % (text, outcome))
    elif wrong:
        tally.bad(kind, 'left', '%s: %s' % (text, wrong))
    else:
        tally.good(kind, 'named' if named else outcome)


def kill_all(tally, title, build, victims, count, seed, patches=True,
             ssh=False):
    with Folder() as folder:
        remote = Remote(folder.path) if ssh else None
        if ssh and remote.missing:
            tally.skip(title, remote.missing)
            return
        qemu = Qemu(folder, build, patches, seed)
        try:
            backups = Backups(qemu, remote, seed)
            wrong = backups.next_one()
            if wrong:
                raise RuntimeError(wrong)
            for _ in range(count):
                for victim in victims:
                    kill_once(tally, title % victim, backups, victim)
        finally:
            qemu.end()


def test_patches(tally, build, count, seed):
    tally.row = '`kill -9` of vma-dump, vma-sink, QEMU with a guest'
    kill_all(tally, 'kill -9 of %s, a guest runs', build,
             ('vma-dump', 'vma-sink', 'QEMU'), count, seed)
    tally.row = '`kill -9` of vma-dump, ssh, sshd, vma-sink, QEMU with a guest'
    kill_all(tally, 'kill -9 of %s, a guest runs, ssh', build,
             ('vma-dump', 'ssh', 'sshd', 'vma-sink', 'QEMU'), count, seed,
             ssh=True)


def test(tally, count, seed):
    patched = qemu_folder()
    if patched:
        test_patches(tally, patched, count, seed)
    else:
        tally.skip('kill -9, QEMU', 'no patched QEMU')
    tally.row = ('`kill -9` of vma-dump, vma-sink, QEMU with a guest, '
                 'without patches')
    for build, title in ((patched, 'patches not used'),
                         (installed_folder(), 'no patches')):
        title = 'kill -9 of %s, a guest runs, ' + title
        if build:
            kill_all(tally, title, build, ('vma-dump', 'vma-sink', 'QEMU'),
                     count, seed, patches=False)
        else:
            tally.skip(title % 'QEMU', 'there is no such QEMU')
