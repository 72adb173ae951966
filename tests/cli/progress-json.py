#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""--progress=json: the three programs tell each phase and the result, in lines
that are objects with the keys of progress.md, after success and after failure.
"""
import json
import os
import subprocess
import tempfile

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
build = os.environ.get('B', root + '/build')
dump, sink, restore = (os.environ.get('VMA_' + name.upper(),
                                      f'{build}/vma-{name}')
                       for name in ('dump', 'sink', 'restore'))
SIZE = 5 << 20


def run(arguments, code=0, stdin=None):
    """Returns standard output and the objects on standard error."""
    stdin = {'input': stdin} if stdin is not None else {'stdin': subprocess.DEVNULL}
    child = subprocess.run([*arguments, '--progress=json'],
                           capture_output=True, **stdin)
    text = child.stderr.decode()
    assert child.returncode == code, (child.returncode, text)
    objects = [json.loads(line) for line in text.splitlines()
               if line.startswith('{')]
    for o in objects:
        assert o['program'] == os.path.basename(arguments[0]), o
        assert type(o['bytes']) is int and type(o['rate']) is int, o
        assert o['seconds'] >= 0, o
        assert ('exit-code' in o) == (o is objects[-1]), o
    for one, two in zip(objects, objects[1:]):
        assert one['bytes'] <= two['bytes'], (one, two)
        assert one['seconds'] <= two['seconds'], (one, two)
    assert objects[-1]['exit-code'] == code, objects[-1]
    return child.stdout, objects


def phases(objects):
    names = [o['phase'] for o in objects]
    return [n for i, n in enumerate(names) if names[i - 1:i] != [n]]


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open('disk', 'wb') as f:
        f.truncate(SIZE)
        f.seek(1 << 20)
        f.write(os.urandom(2 << 20))
    zero = SIZE - (2 << 20)

    stream, objects = run([dump, 'd=disk'])
    assert phases(objects) == ['waiting', 'copying', 'done'], objects
    last = objects[-1]
    assert last['bytes'] == last['total-bytes'] == SIZE, last
    assert last['zero-bytes'] == zero, last

    _, objects = run([sink, '-o', 'a.vma'], stdin=stream)
    assert phases(objects) == ['waiting', 'copying', 'syncing', 'done'], objects
    last = objects[-1]
    assert last['bytes'] == last['total-bytes'] == SIZE, last
    assert last['zero-bytes'] == zero and 'error' not in last, last
    # Nobody knows a total before the preamble.
    assert 'total-bytes' not in objects[0], objects[0]

    # A cut: phase, exit code and reason, and what was read until then.
    _, objects = run([sink, '-o', 'b.vma'], 4, stream[:1 << 20])
    assert phases(objects) == ['waiting', 'copying', 'failed'], objects
    assert 'in a payload' in objects[-1]['error'], objects[-1]
    assert objects[-1]['bytes'] < SIZE, objects[-1]
    _, objects = run([sink, '-o', 'no/b.vma'], 1, stream)
    assert phases(objects) == ['waiting', 'failed'], objects

    size = os.stat('a.vma').st_size
    _, objects = run([restore, 'verify', 'a.vma'])
    assert phases(objects) == ['waiting', 'verifying', 'done'], objects
    assert objects[-1]['bytes'] == objects[-1]['total-bytes'] == size, objects
    assert 'zero-bytes' not in objects[-1], objects
    _, objects = run([restore, 'extract', 'a.vma', 'out'])
    assert phases(objects) == ['waiting', 'copying', 'syncing', 'done'], objects
    assert objects[-1]['bytes'] == objects[-1]['total-bytes'] == size, objects

    # Nobody knows how much a pipe will give.
    with open('a.vma', 'rb') as f:
        archive = f.read()
    _, objects = run([restore, 'verify', '-'], stdin=archive)
    assert 'total-bytes' not in objects[-1] and objects[-1]['bytes'], objects
    _, objects = run([restore, 'verify', '-'], 4, archive[:-4096])
    assert objects[-1]['phase'] == 'failed' and objects[-1]['error'], objects

    for command in ([dump, 'd=disk'], [sink, '-o', 'x'],
                    [restore, 'verify', 'a.vma'],
                    [restore, 'extract', 'a.vma', 'x']):
        for value in ('', 'jso', 'BAR'):
            child = subprocess.run([*command, '--progress=' + value],
                                   capture_output=True, input=b'')
            assert child.returncode == 2, (command, child)
            assert b'auto, bar, json or none' in child.stderr, child
    assert not os.path.exists('x')
