#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A standard error that takes no more holds up nothing: with --progress=json and
a full pipe that nobody reads the three programs do what they are there for, and
vma-dump, vma-sink and vma-restore verify end with the same exit codes.  With a bar on a terminal that was stopped, the
archive is there, and the message when the terminal goes on.
"""
import fcntl
import os
import pty
import subprocess
import sys
import tempfile
import termios
import time

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
build = os.environ.get('B', root + '/build')
dump, sink, restore = (os.environ.get('VMA_' + name.upper(),
                                      f'{build}/vma-{name}')
                       for name in ('dump', 'sink', 'restore'))


def full_pipe():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(write, False)
    try:
        while True:
            os.write(write, b'x' * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(write, True)
    return read, write


def run(arguments, stdin=b''):
    """Returns exit code and standard output."""
    read, write = full_pipe()
    try:
        child = subprocess.run([*arguments, '--progress=json'], input=stdin,
                               stdout=subprocess.PIPE, stderr=write,
                               timeout=60)
    finally:
        os.close(read)
        os.close(write)
    return child.returncode, child.stdout


def wait_for(condition, what):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    sys.exit(f'waited in vain for {what}')


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open('disk', 'wb') as f:
        f.write(os.urandom(1 << 20))
    code, stream = run([dump, 'd=disk'])
    assert code == 0, code
    assert run([sink, '-o', 'a.vma'], stream) == (0, b'')
    assert run([sink, '-o', 'b.vma'], stream[:-1])[0] == 4
    assert sorted(os.listdir('.')) == ['a.vma', 'disk'], os.listdir('.')
    assert run([restore, 'verify', 'a.vma'])[0] == 0

    # Its message about the disks comes before the end, and waits.
    read, write = full_pipe()
    child = subprocess.Popen([restore, 'extract', '--progress=json', 'a.vma',
                              'out'], stderr=write)
    os.close(write)
    wait_for(lambda: os.path.exists('out/disk-d.raw'), 'the disk')
    with open('disk', 'rb') as a, open('out/disk-d.raw', 'rb') as b:
        assert a.read() == b.read()
    with open(read, 'rb') as f:
        assert b'out: 1 disk' in f.read()
    assert child.wait(timeout=60) == 0

    # A stopped terminal: the bar is being written when the stream goes on.
    ours, theirs = pty.openpty()
    read, write = os.pipe()
    child = subprocess.Popen([sink, '-o', 't.vma', '--progress=bar'],
                             stdin=read, stderr=theirs)
    os.write(write, stream[:40000])
    os.read(ours, 1)
    termios.tcflow(theirs, termios.TCOOFF)
    time.sleep(0.3)
    for at in range(40000, len(stream), 40000):
        os.write(write, stream[at:at + 40000])
    os.close(write)
    wait_for(lambda: os.path.exists('t.vma'), 'the archive')
    termios.tcflow(theirs, termios.TCOON)
    assert child.wait(timeout=60) == 0
    text = b''
    os.set_blocking(ours, False)
    try:
        while True:
            text += os.read(ours, 4096)
    except BlockingIOError:
        pass
    assert b't.vma: 1 disk' in text, text
