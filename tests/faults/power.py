# SPDX-License-Identifier: GPL-2.0-or-later
"""Power is lost at any moment.

The programs' calls are recorded, and after each of them every state is looked at
that a file system may come back with (crash.py): there is under the final name
what was there before, or all of the new one, and once success was told, the new
one.  That this finds anything is shown with syncs that do nothing: each job's
files, and then its folders, must come out wrong.
"""

import os
import random
import subprocess

import crash
import strace
from common import (DUMP, RESTORE, SINK, Folder, disks_of, make_disk,
                    read, remove, run, sanitized, with_shim)

DISKS = {'a': 1 << 20, 'b': 100 << 10}
ROUND = 50      # for so many faults of each kind there is a round

# Program and arguments, its standard input, what there must be in the end.  With
# --force something else is there before.
JOBS = {
    'plain archive': ([SINK, '-o', 'out/x.vma'], 'stream', ['x.vma']),
    'compressed archive': ([SINK, '-o', 'out/x.vma.zst'], 'stream',
                           ['x.vma.zst']),
    'folder of images': ([SINK, '--format=raw', '-o', 'out/x'], 'stream',
                         ['x']),
    'extract': ([RESTORE, 'extract', 'in.vma', 'out'], None,
                ['disk-a.raw', 'disk-b.raw', 'vm.conf']),
    'extract to a file': ([RESTORE, 'extract', '-d', 'a=out/a.img', 'in.vma'],
                          None, ['a.img']),
    'extract to a new folder': ([RESTORE, 'extract', 'in.vma', 'out/new'], None,
                                ['new/disk-a.raw', 'new/disk-b.raw',
                                 'new/vm.conf']),
    'extract a range': ([RESTORE, 'extract', '-d', 'a=out/a.img', '--range',
                         '4K:500K', 'in.vma'], None, ['a.img']),
    'reindex': ([RESTORE, 'reindex', 'in.vma', 'out/x.vma.zst'], None,
                ['x.vma.zst']),
}


def prepare(folder, seed):
    for number, (name, size) in enumerate(DISKS.items()):
        make_disk(folder.join(name), size * (1 + seed % 9),
                  seed * len(DISKS) + number)
    with open(folder.join('vm.conf'), 'w') as file:
        file.write('name: x\n')
    with open(folder.join('stream'), 'wb') as stream:
        run([DUMP, '-c', folder.join('vm.conf'),
             *('%s=%s' % (name, folder.join(name)) for name in DISKS)],
            stdout=stream)
    with open(folder.join('stream'), 'rb') as stream:
        run([SINK, '-o', folder.join('in.vma')], stdin=stream)


def put_old(path):
    """Something for --force to replace"""
    if os.path.basename(path) == 'x':
        os.mkdir(path)
        path = os.path.join(path, 'disk-a.raw')
    with open(path, 'wb') as file:
        file.write(b'old' * 1000)


def right_content(folder, name, what):
    """Whether the real result is what it should be"""
    name = os.path.basename(name)
    wanted = {disk: read(folder.join(disk)) for disk in DISKS}
    if '.vma' in name:
        return disks_of(folder.join('out', name), folder.join('tmp')) == wanted
    if name == 'x':
        return what == {'disk-a.raw': wanted['a'], 'disk-b.raw': wanted['b'],
                        'vm.conf': b'name: x\n'}
    if name == 'vm.conf':
        return what == b'name: x\n'
    disk = wanted[name.split('.')[0][-1]]
    return what == disk or what == disk[4096:4096 + 500 * 1024]


def record(folder, job, force, settings):
    """Runs it, returns the model of before, and the calls"""
    argv, source, names = JOBS[job]
    remove(folder.join('out'))
    os.mkdir(folder.join('out'))
    for name in names if force else []:
        put_old(folder.join('out', name))
    model = crash.Model(folder.path)
    log = folder.path + '.trace'
    with open(folder.join(source) if source else os.devnull, 'rb') as stdin:
        result = strace.run(argv + ['--force'] * force, log, stdin=stdin,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=with_shim(**settings), cwd=folder.path)
    calls = list(strace.calls(log))
    os.remove(log)
    if result.returncode != 0:
        raise RuntimeError('%s: exit code %d: %s' % (
            job, result.returncode, result.stderr.decode()))
    return model, calls


def judge(folder, job, force, settings, seed, tries):
    """Yields for every state 'none', 'whole', or what is wrong with it"""
    model, calls = record(folder, job, force, settings)
    paths = [os.path.join('out', name) for name in JOBS[job][2]]
    new = {path: read(folder.join(path)) for path in paths}
    old = {path: model_content(model.find(path)[2]) for path in paths}
    rng = random.Random(seed)
    for number, call in enumerate(calls):
        if not model.feed(call):
            continue
        told = bool(model.output)
        for path, what in model.states(paths, rng, tries):
            if what == new[path]:
                yield 'whole'
            elif what == old[path] and not told:
                yield 'none'
            else:
                yield '%s: after call %d of %d, %s, %s is %s%s' % (
                    job, number + 1, len(calls), call.name, path,
                    'not there' if what is None else
                    'the old one' if what == old[path] else 'not whole',
                    ', success was told' if told else '')
    if not model.same():
        raise RuntimeError('%s: the calls are not all understood' % job)
    for path in paths:
        if not right_content(folder, os.path.relpath(path, 'out'), new[path]):
            yield '%s: %s is wrong' % (job, path)


def model_content(what):
    if isinstance(what, crash.Folder):
        return {name: model_content(inside)
                for name, inside in what.names.items()}
    return None if what is None else bytes(what.data)


def lose_power(tally, folder, job, force, seed):
    kind = 'power loss: ' + job
    tally.row = 'loss of power after a call'
    for state in judge(folder, job, force, {}, seed, 5):
        if state in ('none', 'whole'):
            tally.good(kind, state)
        else:
            tally.bad(kind, 'lie', state)


def plant(tally, folder, job, force, seed):
    """Without its syncs a job must come out wrong"""
    tally.row = 'the same, with syncs that do nothing'
    for ignored in ('files', 'folders'):
        kind = 'power loss: planted, no syncs of ' + ignored
        states = judge(folder, job, force, {'ignore_sync': ignored}, seed, 3)
        if all(state in ('none', 'whole') for state in states):
            tally.bad(kind, 'lie', job + ': nothing is found')
        else:
            tally.good(kind, 'found')


def test(tally, count, seed):
    if sanitized() or not strace.works():
        tally.skip('power loss', 'a sanitizer, or no strace')
        return
    jobs = [(job, force) for job in JOBS for force in (False, True)
            if not force or 'new folder' not in job]
    for number in range(max(1, count // ROUND)):
        with Folder() as folder:
            prepare(folder, seed + number)
            for job, force in jobs:
                lose_power(tally, folder, job, force, seed + number)
                if number == 0:
                    plant(tally, folder, job, force, seed)
