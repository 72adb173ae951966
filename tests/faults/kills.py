# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9, of each program: before each of its calls, and at random moments.

Whatever is there then under the final name is what was there before, or whole.
The next run succeeds and leaves nothing but its result.
"""

import os
import random
import shutil
import subprocess
import time

from common import (BUILD, DUMP, RESTORE, SINK, Folder, disks_of, listing,
                    make_disk, read, remove, run, sanitized, verify, with_shim)
from procs import Row, kill
from remote import Remote, sinks, sshds

DISKS = {'a': 5 << 20, 'b': 100 << 10}

EACH = 40       # for so many faults of each kind every call is tried

# Where a run's result is to be, and the program that makes it.
JOBS = {
    'plain': ('x.vma', [SINK, '-o']),
    'compressed': ('x.vma.zst', [SINK, '--compress=zstd:1', '-o']),
    'read ahead': ('x.vma.zst', [SINK, '--buffer', '1M', '--spool', '.', '-o']),
    'folder': ('x', [SINK, '--format=raw', '-o']),
    'extract': ('disks', [RESTORE, 'extract', '-T', '2', 'in.vma.zst']),
    'reindex': ('x.vma', [RESTORE, 'reindex', 'in.vma.zst']),
}


class Place:
    """A folder with disks, an archive, and room for results in out/"""

    def __init__(self, folder, seed):
        self.path = folder.path
        self.rng = random.Random(seed)
        self.disks = {}
        for number, (name, size) in enumerate(DISKS.items()):
            make_disk(self.join(name), size, seed * 2 + number)
            self.disks[name] = read(self.join(name))
        with open(self.join('stream'), 'wb') as stream:
            run([DUMP, *self.images()], stdout=stream)
        with open(self.join('stream'), 'rb') as stream:
            run([SINK, '-o', self.join('in.vma.zst')], stdin=stream)
        os.mkdir(self.join('out'))
        self.seconds = {}       # that a run takes, by anything

    def join(self, *names):
        return os.path.join(self.path, *names)

    def images(self):
        return ['%s=%s' % (name, self.join(name)) for name in DISKS]

    def is_whole(self, name):
        """Whether out/NAME is a whole result"""
        path = self.join('out', name)
        if '.vma' in name:
            return (verify(path) and
                    disks_of(path, self.join('tmp')) == self.disks)
        found = read(path) or {}
        # Its own temporary files are for left() to judge.
        return {file: data for file, data in found.items()
                if not file.endswith('.partial')} == {
                    'disk-%s.raw' % disk: data
                    for disk, data in self.disks.items()}

    def left(self, name):
        """What there is beside out/NAME; of a folder no more than its name"""
        result = {os.path.join(name, 'disk-%s.raw' % disk) for disk in DISKS}
        return {path for path in listing(self.join('out'))
                if path != name and path not in result and
                os.path.dirname(path) in ('', name)}

    def clear(self):
        shutil.rmtree(self.join('out'))
        os.mkdir(self.join('out'))

    def moment(self, key):
        """A random one of a run that takes as long as the last one"""
        return self.rng.uniform(0, 1.1 * self.seconds.get(key, 0.1))


def put_old(place, name):
    """Something that --force replaces"""
    path = place.join('out', name)
    if '.vma' not in name:
        os.mkdir(path)
        path = os.path.join(path, 'disk-a.raw')
    with open(path, 'wb') as file:
        file.write(b'old' * 1000)
    return read(place.join('out', name))


def judge(place, name, old, code):
    """After a kill: 'none' or 'whole', or what is wrong"""
    found = read(place.join('out', name))
    if name == 'disks' and code != 0:
        # Files get their names one after another.
        for file in found or {}:
            if old and file in old and found[file] == old[file]:
                continue
            if (not file.endswith('.partial') and
                    found[file] != place.disks.get(file[5:-4])):
                return 'disks/%s is not whole' % file
        return 'none'
    if found == old and code != 0:
        return 'none'
    if found is None:
        return 'exit code %s, and %s is not there' % (code, name)
    return 'whole' if place.is_whole(name) else '%s is not whole' % name


def again(place, name, rerun):
    """Whether the next run is as if nothing had been: None, 'named' for what it
    could only name, or what is wrong.  RERUN returns what it said."""
    start = time.monotonic()
    try:
        said = rerun()
    except RuntimeError as err:
        return 'the next run fails: %s' % err
    place.seconds[name] = time.monotonic() - start
    if not place.is_whole(name):
        return 'the next %s is not whole' % name
    left = place.left(name)
    if any("'out/%s' looks left over" % path not in said for path in left):
        return 'left over: %s' % sorted(left)
    return 'named' if left else None


def settle(tally, kind, text, place, name, old, code, rerun):
    """Counts one kill"""
    outcome = judge(place, name, old, code)
    if outcome not in ('none', 'whole'):
        tally.bad(kind, 'lie', '%s: %s' % (text, outcome))
        return
    wrong = again(place, name, rerun)
    if wrong and wrong != 'named':
        tally.bad(kind, 'left', '%s: %s' % (text, wrong))
    else:
        tally.good(kind, wrong or outcome)


def command(job, name, force):
    return [*JOBS[job][1], os.path.join('out', name)] + ['--force'] * force


def one_run(place, job, force, env=None):
    """Returns what subprocess.run() does"""
    name = JOBS[job][0]
    with open(place.join('stream'), 'rb') as stream:
        return subprocess.run(command(job, name, force), stdin=stream,
                              capture_output=True, env=env, cwd=place.path,
                              timeout=120)


def checked_run(place, job):
    result = one_run(place, job, True)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.decode())
    return result.stderr.decode()


# Before each call


def at_each_call(tally, place, job, force, step):
    """At each STEPth, from a random one on"""
    name = JOBS[job][0]
    kind = 'kill -9 before a call: ' + job
    place.clear()
    one_run(place, job, force, with_shim(report=place.join('calls')))
    calls = int(read(place.join('calls')))
    if calls < 5:
        tally.bad(kind, 'lie', 'only %d calls: the shim does not work' % calls)
    for number in range(1 + place.rng.randrange(step), calls + 1, step):
        place.clear()
        old = put_old(place, name) if force else None
        result = one_run(place, job, force, with_shim(at=number, kill=1))
        settle(tally, kind, '%s, call %d' % (job, number), place, name, old,
               result.returncode, lambda: checked_run(place, job))


# At random moments


def backup(place, row, job, force, remote=None, source=None):
    """Starts a pipeline, returns who there is to be killed"""
    name = JOBS[job][0]
    sink = command(job, name, force)
    if remote:
        sink = remote.ssh('cd %s && exec %s --progress=none' % (
            place.path, ' '.join(sink)))
    dump = row.start('vma-dump', [DUMP, *(source or place.images())],
                     stdout=subprocess.PIPE)
    row.start('ssh' if remote else 'vma-sink', sink, stdin=dump.stdout,
              cwd=place.path)
    dump.stdout.close()


def kill_one(row, victim):
    ssh = row.processes.get('ssh')
    find = {'sshd': sshds, 'vma-sink': sinks}.get(victim)
    if not ssh or not find:
        kill(row.processes[victim].pid)
        return
    # It may take a while until there are such.
    while not find(ssh.pid) and ssh.poll() is None:
        time.sleep(0.002)
    for pid in find(ssh.pid):
        kill(pid)


def kill_in_backup(tally, place, number, victim, remote=None):
    job = list(JOBS)[number % 4]
    force = number % 8 >= 4
    name = JOBS[job][0]
    kind = 'kill -9 of %s%s' % (victim, ' beside ssh' if remote and
                                victim.startswith('vma') else '')
    place.clear()
    old = put_old(place, name) if force else None

    def whole_run():
        row = Row(place.path)
        backup(place, row, job, True, remote)
        codes = row.wait()
        if any(codes.values()):
            raise RuntimeError('%s: %s' % (codes, row.said_by_all()))
        return row.said_by_all()

    row = Row(place.path)
    backup(place, row, job, force, remote)
    wait = place.moment(name)
    time.sleep(wait)
    kill_one(row, victim)
    codes = row.wait()
    row.wait_for_orphans()
    settle(tally, kind, '%s after %.3f s' % (job, wait), place, name, old,
           codes['ssh' if remote else 'vma-sink'], whole_run)


def kill_restore(tally, place, number):
    job = ('extract', 'reindex')[number % 2]
    force = number % 4 >= 2
    name = JOBS[job][0]
    place.clear()
    old = put_old(place, name) if force else None
    row = Row(place.path)
    row.start('vma-restore', command(job, name, force), cwd=place.path)
    wait = place.moment(name)
    time.sleep(wait)
    kill_one(row, 'vma-restore')
    code = row.wait()['vma-restore']
    settle(tally, 'kill -9 of vma-restore', '%s after %.3f s' % (job, wait),
           place, name, old, code, lambda: checked_run(place, job))


# nbdkit, at either end


class Nbdkit:
    """Serves a file or the archive on a socket"""

    def __init__(self, place, row, *what):
        self.socket = place.join('nbd')
        remove(self.socket)
        row.start('nbdkit', ['nbdkit', '--foreground', '--exit-with-parent',
                             '--unix', self.socket, *what])
        deadline = time.monotonic() + 20
        while not os.path.exists(self.socket):
            if time.monotonic() > deadline:
                raise RuntimeError('nbdkit: ' + row.said('nbdkit'))
            time.sleep(0.002)

    def uri(self, export=''):
        return 'nbd+unix:///%s?socket=%s' % (export, self.socket)


def nbd_source(place, row, number):
    if number % 2:
        server = Nbdkit(place, row, os.path.join(BUILD, 'nbdkit-vma-plugin.so'),
                        place.join('in.vma.zst'))
        return ['%s=%s' % (name, server.uri(name)) for name in DISKS]
    server = Nbdkit(place, row, '--readonly', 'file', 'dir=' + place.join('raw'))
    return ['%s=%s' % (name, server.uri(name)) for name in DISKS]


def kill_nbd_source(tally, place, number):
    """A backup of what nbdkit serves"""
    job, name = 'plain', 'x.vma'
    place.clear()

    def start():
        row = Row(place.path)
        source = nbd_source(place, row, number)
        backup(place, row, job, True, None, source)
        return row

    def whole_run():
        row = start()
        try:
            codes = row.wait('vma-dump', 'vma-sink')
            if any(codes.values()):
                raise RuntimeError('%s: %s' % (codes, row.said_by_all()))
            return row.said_by_all()
        finally:
            row.end()

    row = start()
    wait = place.moment(name)
    time.sleep(wait)
    kill_one(row, 'nbdkit')
    codes = row.wait()
    settle(tally, 'kill -9 of nbdkit, the source', 'after %.3f s' % wait, place,
           name, None, codes['vma-sink'], whole_run)


def kill_nbd_target(tally, place, number):
    """A restore to what nbdkit serves: the target may be half a disk then, and
    vma-restore says so"""
    kind = 'kill -9 of nbdkit, the target'
    target = place.join('target')

    def start():
        row = Row(place.path)
        server = Nbdkit(place, row, 'file', target)
        row.start('vma-restore', [RESTORE, 'extract', '--force', '-d',
                                  'a=' + server.uri(), 'in.vma.zst'],
                  cwd=place.path)
        return row

    with open(target, 'wb') as file:
        file.write(place.rng.randbytes(1 << 20) * (DISKS['a'] >> 20))
    row = start()
    wait = place.moment('target')
    time.sleep(wait)
    kill_one(row, 'nbdkit')
    code = row.wait()['vma-restore']
    said = row.said('vma-restore')
    if code == 0 and read(target) != place.disks['a']:
        tally.bad(kind, 'lie', 'exit code 0, and the target is wrong')
        return
    if code not in (0, 1) or (code == 1 and 'restored' not in said and
                              'overwritten' not in said):
        tally.bad(kind, 'lie', 'exit code %s: %s' % (code, said))
        return
    begun = time.monotonic()
    row = start()
    again_code = row.wait('vma-restore')['vma-restore']
    place.seconds['target'] = time.monotonic() - begun
    row.end()
    if again_code != 0 or read(target) != place.disks['a']:
        tally.bad(kind, 'left', row.said('vma-restore'))
    else:
        tally.good(kind, 'none' if code else 'whole')


def have_nbdkit():
    return bool(shutil.which('nbdkit')) and os.path.exists(
        os.path.join(BUILD, 'nbdkit-vma-plugin.so'))


def test(tally, count, seed):
    with Folder() as folder:
        place = Place(folder, seed)
        tally.row = '`kill -9` before a call'
        if sanitized():
            tally.skip('kill -9 before each call', 'a sanitizer')
        else:
            for job in JOBS:
                for force in (False, True):
                    at_each_call(tally, place, job, force,
                                 max(1, EACH // count))
        tally.row = '`kill -9` of vma-dump, vma-sink, vma-restore'
        for number in range(count):
            kill_in_backup(tally, place, number, 'vma-dump')
            kill_in_backup(tally, place, number, 'vma-sink')
            kill_restore(tally, place, number)
        tally.row = '`kill -9` of vma-dump, ssh, sshd, vma-sink'
        remote = Remote(folder.path)
        if remote.missing:
            tally.skip('kill -9 of ssh, sshd', remote.missing)
        for number in range(0 if remote.missing else count):
            for victim in ('vma-dump', 'ssh', 'sshd', 'vma-sink'):
                kill_in_backup(tally, place, number, victim, remote)
        tally.row = '`kill -9` of nbdkit, as source and as target'
        if not have_nbdkit():
            tally.skip('kill -9 of nbdkit', 'no nbdkit, or no plugin')
            return
        os.mkdir(place.join('raw'))
        for name in DISKS:
            shutil.copy(place.join(name), place.join('raw', name))
        for number in range(count):
            kill_nbd_source(tally, place, number)
            kill_nbd_target(tally, place, number)
