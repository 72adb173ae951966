#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever names, messages and paths an input has, no character of them that is
not to be seen, or turns others round, gets to a terminal or into a file's name,
list --json is valid, and files stay apart and in the folder.
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unicodedata

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
import limits  # noqa: E402
import mkvma  # noqa: E402
import readvma  # noqa: E402
from mkvma import Entry  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')
SINK = os.environ.get('VMA_SINK', 'build/vma-sink')
OK, USAGE = 0, 2
SANITIZED = limits.is_sanitized(RESTORE)

spec = importlib.util.spec_from_file_location(
    'vectors', ROOT + '/tests/data/make-stream-vectors.py')
stream = importlib.util.module_from_spec(spec)
spec.loader.exec_module(stream)

NAMES = [b'\x1b[2J\x1b]0;title\x07', b'line\nfeed\rreturn', b'\t\b\x7f',
         b'\xc2\x9b31m', b'bad\xff\xc3', b'\xed\xa0\x80', b'\xf4\x90\x80\x80',
         b'../../up', b'/etc/passwd', b'..', b'.', b'%', b'%2F', b'a', b'A',
         b'\xc3\xa4', b'\xc3\x84', b'"\\', b'x' * 65534, b'\x1b' * 65534]
# To the left, isolates, ends of a line and a paragraph, without a width, tags.
HIDDEN = '\u202egnp\u2066\u2069\u2028\u2029\u200b\ufeff\xad\U000e0041\u0378'
NAMES += [HIDDEN.encode()] + [b'x' + char.encode() for char in HIDDEN]
# The one control character G3 lets through, and what is none.
MESSAGE = b'\xc2\x9b0m' + HIDDEN.encode()


def run(*command, data=None):
    return subprocess.run(command, input=data, check=False,
                          stdin=None if data else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def check_shown(what, text):
    """Nothing but UTF-8 that is to be seen, and ends of lines."""
    try:
        shown = text.decode()
    except UnicodeDecodeError as error:
        sys.exit(f'{what}: no UTF-8: {error}')
    for char in shown:
        if char != '\n' and unicodedata.category(char) in readvma.NOT_SHOWN:
            sys.exit(f'{what}: {char!r} in {shown[:200]!r}')


def check_archive(path, names):
    """All that talks of an archive; some of it is wrong, so there is talk."""
    for command in (['list'], ['verify'], ['extract', None, 'out'],
                    ['extract', '-d', b'none', None, 'out'],
                    ['extract', '--salvage', '--force', None, 'out'],
                    ['extract', '-d', names[0] + b'=-'],
                    ['reindex', '-f', None, 'new.vma'], ['config', None, 'x'],
                    ['serve', '-d', names[0]], ['serve', '--run', 'true']):
        if command[0] == 'serve' and SANITIZED:
            continue            # nbdkit takes no plugin like that
        command = [path if word is None else word for word in command]
        result = run(RESTORE, *command, *([] if path in command else [path]))
        if result.returncode not in range(5):
            sys.exit(f'{command}: {result.returncode}, {result.stderr}')
        if command[1:2] != ['-d'] or command[2] != names[0] + b'=-':
            check_shown(command[0], result.stdout)
        check_shown(command[0], result.stderr)
    text = run(RESTORE, 'list', '--json', path).stdout
    check_shown('list --json', text)
    listed = json.loads(text)
    for kind in 'devices', 'configs':
        got = [bytes.fromhex(x['name-hex']) if 'name-hex' in x
               else x['name'].encode() for x in listed[kind]]
        if got != names:
            sys.exit(f'other names of {kind}: {got}')


def archive(names, good):
    """With a cluster for each disk, or with one twice and others missing."""
    data = mkvma.header([(i, n, 512) for i, n in enumerate(names, 1)],
                        [(n, b'text') for n in names])
    entries = [Entry(i, 0, 0, b'') for i in range(1, len(names) + 1)]
    return data + mkvma.extent(entries if good else [entries[0]] * 2)


def check_files(names):
    """Each name has a file of its own, in the folder."""
    with open('good.vma', 'wb') as file:
        file.write(archive(names, True))
    result = run(RESTORE, 'extract', 'good.vma', 'deep/out')
    check_shown('extract', result.stderr)
    if result.returncode != OK or len(os.listdir('deep/out')) != 2 * len(
            names):
        sys.exit(f'extract: {result.returncode}, {result.stderr}')
    if os.listdir('deep') != ['out']:
        sys.exit(f'outside: {os.listdir("deep")}')
    for name in os.listdir(b'deep/out'):
        check_shown('extract', name)
    hidden = [run(RESTORE, 'extract', '-d', name + b'=-', 'good.vma')
              for name in names if name.decode(errors='ignore') == HIDDEN]
    if [result.returncode for result in hidden] != [OK]:
        sys.exit(f'not to be had by its name: {hidden}')


def check_clash(disks, configs):
    """Two that would be one file are refused, and nothing is left."""
    with open('clash.vma', 'wb') as file:
        file.write(mkvma.archive([(n, b'x') for n in disks],
                                 [(n, b'') for n in configs]))
    result = run(RESTORE, 'extract', 'clash.vma', 'clash')
    if result.returncode != USAGE or os.path.exists('clash'):
        sys.exit(f'{disks} and {configs}: {result}')


def check_stream():
    """What the producer says, and the names that it gives."""
    data = stream.preamble([stream.device(1, b'd' + MESSAGE, 512)],
                           [stream.config('c\x9b', b'')])
    for end in stream.abort(1, b'no ' + MESSAGE), stream.record(
            stream.ZERO, 1, 7, 1):
        for arguments in (['-o', 'x.vma'], ['--format=raw', '-o', 'x'],
                          ['--json', '-o', 'x.vma'],
                          ['--progress=json', '-o', 'x.vma']):
            result = run(SINK, *arguments, data=data + end)
            if result.returncode not in (3, 4):
                sys.exit(f'vma-sink: {result}')
            check_shown('vma-sink', result.stderr)
            if '--json' in arguments:
                check_shown('vma-sink --json', result.stdout)
                json.loads(result.stdout)


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir('deep')
        for names in [[name] for name in NAMES] + [NAMES]:
            with open('bad.vma', 'wb') as file:
                file.write(archive(names, False))
            check_archive('bad.vma', names)
        check_files(NAMES)
        check_clash([b'a', b'a'], [])
        check_clash([b'a'], [b'disk-a.raw'])
        check_clash([], [b'x', b'x'])
        check_clash([b'vmstate'], [b'vmstate.bin'])
        check_stream()
        os.chdir('/')


if __name__ == '__main__':
    main()
