#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A configuration with anything but text that is seen as what it is does not
get to a terminal, and gets anywhere else as it is.
"""
import os
import pty
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
DUMP = os.environ.get('VMA_DUMP', 'build/vma-dump')
SINK = os.environ.get('VMA_SINK', 'build/vma-sink')
RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')

TEXTS = [b'', b'name: vm1\n', b'a\tb\r\n\r\n', 'näme: ✓\n'.encode(),
         b'[' + b'x' * 10000 + b']']
# Bytes and characters that terminals obey, and what turns others round.
OTHERS = [b'\x1b[2J', b'a\0', b'a\x7f', b'a\rb', b'a\r', b'\x0b', b'\x0c',
          b'\x9b2J', b'\xc2\x9b2J', b'\xff', b'a\xc3', '\u202e'.encode(),
          '\u2028'.encode()]


def on_terminal(archive):
    """Its exit code, and what a terminal gets, before it makes lines of it"""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([RESTORE, 'config', archive], stdout=theirs,
                               stdin=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    os.close(theirs)
    seen = b''
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:         # EIO: nobody has the other end any more
            break
        if not part:
            break
        seen += part
    os.close(ours)
    error = process.communicate()[1]
    return process.returncode, seen.replace(b'\r\n', b'\n'), error


def main():
    for text in TEXTS + OTHERS:
        for name, data in (('config', text), ('disk', bytes(4096))):
            with open(name, 'wb') as file:
                file.write(data)
        subprocess.run('%s -c config d=disk 2> err | %s -f -o x.vma 2>> err' % (
            DUMP, SINK), shell=True, check=True)
        plain = subprocess.run([RESTORE, 'config', 'x.vma'], check=True,
                               stdout=subprocess.PIPE).stdout
        if plain != text:
            sys.exit('%r became %r' % (text, plain))
        code, seen, error = on_terminal('x.vma')
        if text in TEXTS:
            if code != 0 or seen != text:
                sys.exit('%r on a terminal: %d, %r, %r' % (text, code, seen,
                                                           error))
        elif code != 2 or seen or b'refusing to write' not in error:
            sys.exit('%r got to a terminal: %d, %r, %r' % (text, code, seen,
                                                           error))


DUMP, SINK, RESTORE = map(os.path.abspath, (DUMP, SINK, RESTORE))
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    main()
    os.chdir('/')
