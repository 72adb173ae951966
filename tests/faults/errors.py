# SPDX-License-Identifier: GPL-2.0-or-later
"""Targets that fail: each error at each kind of call of each program.

It ends with exit code 1, a message that says what failed and what to do about
it, and what is there now: nothing, or the old one, untouched; no temporary file
either.  What is no failure, such as a short write, changes nothing.
"""

import errno
import os
import re
import subprocess
import threading

from common import (DUMP, RESTORE, SINK, Folder, disks_of, listing,
                    read, sanitized, with_shim)
from kills import JOBS, Place, one_run, put_old

ADVICE = {
    errno.ENOSPC: 'free some',
    errno.EDQUOT: 'quota raised',
    errno.EROFS: 'mount it read-write',
    errno.EFBIG: 'ulimit -f',
    errno.EIO: 'dmesg',
}
ODD = 'interrupted or short calls, odd pipes'
RETRIED = (errno.EINTR, errno.EAGAIN)
MANY = 40       # for so many faults of each kind every call gets every error
# The calls on what is read ahead come in no order: cli/sink-spool-faults.sh.
TRIED = [job for job in JOBS if job != 'read ahead']


def operations(place, job, force):
    """What kind of call each one is, the first being number 1"""
    place.clear()
    if force:
        put_old(place, JOBS[job][0])
    log = place.join('log')
    if one_run(place, job, force, with_shim(log=log)).returncode != 0:
        raise RuntimeError('%s fails without a fault' % job)
    with open(log) as file:
        lines = file.read().splitlines()
    os.remove(log)
    kinds = [kind_of(place, *line.split(' ', 1)) for line in lines]
    writes = [i for i, kind in enumerate(kinds) if kind == 'data']
    if writes:
        kinds[writes[0]] = 'header'
    return kinds


def kind_of(place, call, name):
    if call == 'fsync':
        partial = re.search(r'\.partial$', name)
        folders = ('out', 'x', 'disks', os.path.basename(place.path))
        if name in folders or (partial and name.startswith('x.') and
                               '.vma' not in name):
            return "folder's sync"
        return 'sync'
    return {'mkostemps': 'creation', 'openat': 'creation', 'mkdir': 'creation',
            'write': 'data', 'writev': 'data', 'pwrite': 'data',
            'ftruncate': 'size', 'close': 'close',
            'rename': 'rename', 'renameat2': 'rename', 'link': 'rename'
            }.get(call)


def pick(kinds, errors, rng, every):
    """Yields calls and the errors that they get: each one, or of each kind of
    call one with one"""
    chosen = {}
    for call, kind in enumerate(kinds, 1):
        if kind:
            chosen.setdefault(kind, []).append(call)
    for kind, calls in chosen.items():
        pairs = [(call, number) for call in calls for number in errors]
        for call, number in pairs if every else [rng.choice(pairs)]:
            yield kind, call, number


def judge(place, job, old, result, number):
    """'none' or 'whole' after an error that is one, or what is wrong"""
    name = JOBS[job][0]
    said = result.stderr.decode()
    if result.returncode != 1:
        return 'exit code %d: %s' % (result.returncode, said)
    if os.strerror(number) not in said or ADVICE[number] not in said:
        return 'no word about it: ' + said
    found = read(place.join('out', name))
    if any('.partial' in path for path in listing(place.join('out'))):
        return 'left over: %s' % listing(place.join('out'))
    if found == old:
        words = ('nothing was restored' if job == 'extract' else
                 "the old 'out/%s' is untouched" % name if old is not None else
                 'nothing was stored')
        return 'none' if words in said else 'no word of %r: %s' % (words, said)
    if old is not None and job == 'extract':
        # Those that have replaced another one are whole, and counted.
        new = {'disk-%s.raw' % disk: data for disk, data in place.disks.items()}
        right = all(data in (old.get(file), new.get(file))
                    for file, data in found.items())
        return ('whole' if right and 'files were restored' in said else
                'neither old nor new: %s' % said)
    if old is not None and place.is_whole(name) and 'is the new one' in said:
        return 'whole'
    return 'neither old nor new: %s' % said


def fail(tally, place, job, force, kind, call, number):
    place.clear()
    old = put_old(place, JOBS[job][0]) if force else None
    result = one_run(place, job, force, with_shim(at=call, errno=number))
    text = '%s%s, call %d, %s' % (job, ', --force' * force, call,
                                  errno.errorcode[number])
    title = 'error at %s' % kind
    tally.row = 'a call that fails'
    if number in RETRIED:
        title = 'interrupted or short transfers'
        tally.row = ODD
        outcome = ('whole' if result.returncode == 0 and
                   place.is_whole(JOBS[job][0]) else result.stderr.decode())
    else:
        outcome = judge(place, job, old, result, number)
    if outcome in ('none', 'whole'):
        tally.good(title, outcome)
    else:
        tally.bad(title, 'lie', '%s: %s' % (text, outcome))


def matrix(tally, place, every):
    for job in TRIED:
        for force in (False, True):
            kinds = operations(place, job, force)
            for fault in pick(kinds, list(ADVICE), place.rng, every):
                fail(tally, place, job, force, *fault)
            writes = [kind if kind in ('header', 'data') else None
                      for kind in kinds]
            for fault in pick(writes, RETRIED, place.rng, every):
                fail(tally, place, job, force, *fault)
        place.clear()
        tally.row = ODD
        short = one_run(place, job, False, with_shim(short=1))
        if short.returncode == 0 and place.is_whole(JOBS[job][0]):
            tally.good('interrupted or short transfers', 'whole')
        else:
            tally.bad('interrupted or short transfers', 'lie',
                      '%s, short writes: %s' % (job, short.stderr.decode()))


# File systems that are really full or read-only


def in_namespace(place, mount, argv, unshare='-rm'):
    with open(place.join('stream'), 'rb') as stream:
        return subprocess.run(
            ['unshare', unshare, 'sh', '-c', mount + ' && "$@"; code=$?; '
             'ls -A out; exit $code', 'sh', *argv], stdin=stream,
            capture_output=True, cwd=place.path, timeout=120)


def judge_real(tally, kind, text, result, number):
    said = result.stderr.decode()
    if (result.returncode == 1 and not result.stdout and
            os.strerror(number) in said and ADVICE[number] in said and
            'nothing was ' in said):
        tally.good(kind, 'none')
    else:
        tally.bad(kind, 'lie', '%s: exit code %d, %s left, %s' % (
            text, result.returncode, result.stdout, said))


def real_file_systems(tally, place):
    kind = 'a file system that is full or read-only'
    mounts = {
        errno.ENOSPC: ('mount -t tmpfs -o size=%s none out', ('1M', '16K')),
        errno.EROFS: ('mount -t tmpfs -o ro,size=%s none out', ('1M',)),
    }
    if in_namespace(place, 'mount -t tmpfs none out', ['true']).returncode != 0:
        tally.skip(kind, 'no file system can be mounted (unshare -rm)')
        return
    place.clear()
    for number, (mount, sizes) in mounts.items():
        for size in sizes:
            for job, (name, argv) in JOBS.items():
                judge_real(tally, kind, '%s, %s' % (job, mount % size),
                           in_namespace(place, mount % size,
                                        [*argv, 'out/' + name]), number)


def real_quota(tally, place):
    """By btrfs in a file: it needs no more than that, and counts root's, too"""
    kind = 'a quota that is used up'
    make = ('PATH=$PATH:/usr/sbin:/sbin; truncate -s 128M disk && '
            'mkfs.btrfs -q -M disk && mount -o loop disk out && '
            'btrfs quota enable out')
    place.clear()
    result = in_namespace(place, make, ['true'], '-m')
    if result.returncode != 0:
        tally.skip(kind, 'no file system with quotas can be made (that takes '
                   'root, btrfs-progs, and a kernel with btrfs): %s' %
                   result.stderr.decode().strip().replace('\n', '; '))
        return
    for limit in ('1M', '64K'):
        for job, (name, argv) in JOBS.items():
            mount = ('PATH=$PATH:/usr/sbin:/sbin; mount -o loop disk out && '
                     'btrfs qgroup limit %s out' % limit)
            judge_real(tally, kind, '%s, %s' % (job, limit),
                       in_namespace(place, mount, [*argv, 'out/' + name],
                                    '-m'), errno.EDQUOT)
    os.remove(place.join('disk'))


# Pipes of one page, and who reads or writes them in pieces and with pauses


def trickle(place, read_some, write_all):
    """Passes everything on, in pieces of odd sizes"""
    while True:
        data = read_some(place.rng.choice((1, 31, 4095, 4096, 4097, 65536)))
        if not data:
            return
        write_all(data)
        if place.rng.random() < 0.01:
            threading.Event().wait(place.rng.random() / 50)


def small_pipe():
    import fcntl
    ends = os.pipe()
    fcntl.fcntl(ends[1], 1031, 4096)        # F_SETPIPE_SZ
    return ends


def feed(place, argv, path):
    """The program's standard input comes in pieces"""
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=place.path,
                               stderr=subprocess.PIPE)
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    with open(path, 'rb') as file, process.stdin as stdin:
        trickle(place, file.read, lambda data: (stdin.write(data),
                                                stdin.flush()))
    return process.wait(60)


def take(place, argv, source=None):
    """Returns exit code, and what it wrote to a pipe that is slow"""
    ours, theirs = small_pipe()
    with open(source or os.devnull, 'rb') as stdin:
        process = subprocess.Popen(argv, stdin=stdin, stdout=theirs,
                                   stderr=subprocess.DEVNULL, cwd=place.path)
    os.close(theirs)
    found = bytearray()
    trickle(place, lambda size: os.read(ours, size), found.extend)
    os.close(ours)
    return process.wait(60), bytes(found)


def odd_pipes(tally, place):
    kind = 'a pipe of a page, pieces, pauses'
    results = {}
    for job, (name, argv) in JOBS.items():
        place.clear()
        source = 'stream'
        if argv[0] == RESTORE:
            argv, source = [*argv[:-1], '-'], 'in.vma.zst'
        code = feed(place, [*argv, 'out/' + name], place.join(source))
        results['to ' + job] = code == 0 and place.is_whole(name)
    code, found = take(place, [RESTORE, 'extract', '-d', 'a=-', 'in.vma.zst'])
    results['extract'] = code == 0 and found == place.disks['a']
    for argv, source in (([SINK, '-o', '-'], place.join('stream')),
                         ([RESTORE, 'reindex', 'in.vma.zst', '-'], None)):
        code, found = take(place, argv, source)
        with open(place.join('x.vma'), 'wb') as file:
            file.write(found)
        results[' '.join(argv[1:])] = code == 0 and disks_of(
            place.join('x.vma'), place.join('tmp')) == place.disks
    code, found = take(place, [DUMP, *place.images()])
    with open(place.join('x.stream'), 'wb') as file:
        file.write(found)
    with open(place.join('x.stream'), 'rb') as file:
        place.clear()
        sink = subprocess.run([SINK, '-o', place.join('out', 'x.vma')],
                              stdin=file, capture_output=True)
    results['vma-dump'] = (code == 0 and sink.returncode == 0 and
                           place.is_whole('x.vma'))
    for text, right in results.items():
        if right:
            tally.good(kind, 'whole')
        else:
            tally.bad(kind, 'lie', text)


def test(tally, count, seed):
    with Folder() as folder:
        place = Place(folder, seed)
        if sanitized():
            tally.skip('errors at calls', 'a sanitizer')
        else:
            matrix(tally, place, count >= MANY)
        tally.row = 'a file system that is full, read-only, or over quota'
        real_file_systems(tally, place)
        real_quota(tally, place)
        tally.row = ODD
        odd_pipes(tally, place)
