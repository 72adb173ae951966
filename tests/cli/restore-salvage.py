#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
From an archive with bytes cut out, put in or overwritten, or with a damaged
header, salvage restores exactly the rest, lists exactly what is lost, and says
what it can't know; with digests and without, from a file and from a pipe.
"""
import os
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import mkvma  # noqa: E402
from mkvma import CLUSTER  # noqa: E402

B = os.environ.get('B', 'build')
DUMP = os.environ.get('VMA_DUMP', B + '/vma-dump')
SINK = os.environ.get('VMA_SINK', B + '/vma-sink')
RESTORE = os.environ.get('VMA_RESTORE', B + '/vma-restore')
DAMAGED, INCOMPLETE = 3, 4

DISKS = {1: mkvma.make_image(130 * CLUSTER, 1),
         2: mkvma.make_image(125 * CLUSTER + 3 * 4096 + 512, 2)}
NAMES = {1: 'a', 2: 'b'}
CONFIG = b'name: x\n'


class Archive:
    """Its bytes, and where which clusters are: (start, end, [(id, number)])."""

    def __init__(self, data):
        self.data = data
        self.digests = data[60:68] == b'VMA+XXH3'
        self.header_bytes = at = struct.unpack_from('>I', data, 56)[0]
        self.extents = []
        while at < len(data):
            end = at + 512 + 4096 * struct.unpack_from('>H', data, at + 6)[0]
            clusters = []
            for i in range(59):
                _, _, device, number = struct.unpack_from('>HBBI', data,
                                                          at + 40 + 8 * i)
                if device:
                    clusters.append((device, number))
            self.extents.append((at, end, clusters))
            at = end


def with_digests(folder):
    args = [DUMP, '-c', folder + '/conf']
    for device, disk in DISKS.items():
        path = os.path.join(folder, NAMES[device])
        with open(path, 'wb') as file:
            file.write(disk)
        args.append(NAMES[device] + '=' + path)
    with open(folder + '/conf', 'wb') as file:
        file.write(CONFIG)
    stream = subprocess.run(args, check=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL).stdout
    return Archive(subprocess.run([SINK, '-o', '-'], input=stream, check=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL).stdout)


def without_digests():
    entries = mkvma.clusters(DISKS[1], 1) + mkvma.clusters(DISKS[2], 2)
    return Archive(mkvma.header([(i, NAMES[i].encode(), len(disk))
                                 for i, disk in DISKS.items()],
                                [(b'conf', CONFIG)])
                   + mkvma.extents(entries))


def cut(data, start, size):
    return data[:start] + data[start + size:]


def insert(data, start, size):
    return data[:start] + b'\x77' * size + data[start:]


def overwrite(data, start, new):
    return data[:start] + new + data[start + len(new):]


def flip(data, start):
    return overwrite(data, start, bytes([data[start] ^ 1]))


# Name, archive and what is expected: which extents are lost, after which
# nothing follows (told only without digests), words.
def body_cases(a):
    e, none = a.extents, not a.digests
    middle = [(start + end) // 2 + 3 for start, end, _ in e]
    last = 4 if a.digests else len(e) - 1       # of those with data
    assert len(e[last][2]) and e[last][1] - e[last][0] > 60000

    yield 'bytes cut out', cut(a.data, middle[1], 1000), [1], [], (
        'begins within it' if none else 'does not match its digest')
    yield 'blocks cut out', cut(a.data, middle[1], 3 * 512), [1], [], ''
    yield 'all but the header cut out', cut(
        a.data, e[1][0] + 512, e[1][1] - e[1][0] - 513), [1], [], ''
    yield 'two cut', cut(cut(a.data, middle[2], 77), middle[1], 5), [
        1, 2], [], ''
    yield 'from one to another cut', cut(
        a.data, middle[1], middle[3] - middle[1]), (
            [2, 3] if none else [1, 2, 3]), [1], ''
    yield 'a header cut out', cut(a.data, e[2][0], 512), [2], [1], ''
    yield 'most of a header cut out', cut(a.data, e[2][0] + 4, 500), [2], [], ''
    yield 'bytes put in', insert(a.data, middle[1], 777), (
        [] if none else [1]), [1], ''
    yield 'bytes put in between', insert(a.data, e[2][0], 4096), [], [1], ''
    yield 'a bit of a header', flip(a.data, e[2][0] + 44), [2], [], ''
    yield 'a magic', overwrite(a.data, e[2][0], b'xxxx'), [2], [], ''
    yield 'zeroes over a header', overwrite(
        a.data, e[2][0] - 1000, bytes(4096)), (
            [2] if none else [1, 2]), [1], ''
    yield 'bytes of the last one cut out', cut(a.data, middle[last], 100), [
        last], [], ('ends in an extent' if none else 'does not match')
    if a.digests:
        yield 'a bit of data', flip(a.data, middle[1]), [1], [], (
            'does not match')


def header_cases(a):
    """Only the header is damaged; which disks and configs come, and how."""
    files = {1: 'disk-a.raw', 2: 'disk-b.raw'}
    data, words = a.data, 'checksum mismatch in the header'
    place = 12288 + 1
    blob = data.index(b'\2\0a\0', place)

    yield 'its checksum', flip(data, 32), files, True, words
    yield 'its time', flip(data, 30), files, True, words
    yield 'its mark', flip(data, 60), files, True, words
    yield 'all of its mark', overwrite(data, 60, b'x' * 16), files, True, words
    yield 'its size, too large', overwrite(
        data, 56, b'\x80'), files, True, 'bad header size'
    yield 'its size, past the end', flip(data, 56), files, True, (
        'ends in its header')
    yield 'its size, larger', overwrite(data, 56, struct.pack(
        '>I', a.header_bytes + 512)), files, True, words
    yield 'its size, smaller', overwrite(data, 56, struct.pack(
        '>I', a.header_bytes - 1)), files, True, words
    yield "the blob buffer's place", flip(data, 48), files, True, words
    yield "the blob buffer's size", flip(data, 55), files, True, words
    yield "a config's name", overwrite(data, data.index(b'\5\0conf\0', place),
                                       b'\xff\xff'), files, False, words
    yield "a config's place", flip(data, 2044), files, False, words
    yield "a disk's name", flip(data, blob), {
        1: 'disk-device-1.raw', 2: 'disk-b.raw'}, True, "called 'device-1'"
    yield "a disk's name, gone", overwrite(data, 4096 + 32, bytes(4)), {
        1: 'disk-device-1.raw', 2: 'disk-b.raw'}, True, "called 'device-1'"
    yield "a disk's size", flip(data, 4096 + 32 + 8), {
        2: 'disk-b.raw'}, True, 'bad size'


def hopeless_cases(a):
    yield 'the uuid', flip(a.data, 9), 'no extent of this archive follows'
    yield 'all disks', overwrite(a.data, 4096, bytes(8192)), 'it lists no disk'
    yield 'no extents', a.data[:a.header_bytes - 512] + b'x' * 512, (
        'no extent of this archive follows')
    yield 'the magic', flip(a.data, 0), 'not a VMA archive'
    yield 'the version', flip(a.data, 7), 'version 0'


def ranges(clusters):
    """(id, first byte, last byte) of each run of clusters."""
    runs = []
    for device, number in sorted(clusters):
        if runs and runs[-1][0] == device and runs[-1][2] == number:
            runs[-1][2] += 1
        else:
            runs.append([device, number, number + 1])
    return [(d, first * CLUSTER, min(end * CLUSTER, len(DISKS[d])) - 1)
            for d, first, end in runs]


def listed(pattern, text):
    ids = {name: device for device, name in NAMES.items()}
    return [(ids[m[1]], int(m[2]), int(m[3])) for m in
            re.finditer(pattern + r"disk '(\w)', bytes (\d+) to (\d+)", text)]


def blank(disks, spans):
    disks = {device: bytearray(disk) for device, disk in disks.items()}
    for device, first, last in spans:
        disks[device][first:last + 1] = bytes(last + 1 - first)
    return disks


def require(condition, *what):
    if not condition:
        sys.exit(' '.join(str(x) for x in what))


def run(data, piped, *args):
    """A command of vma-restore, and its output; {} is the archive."""
    with tempfile.NamedTemporaryFile() as file:
        if not piped:
            file.write(data)
            file.flush()
        path = '-' if piped else file.name
        return subprocess.run([RESTORE] + [path if x == '{}' else x
                                           for x in args],
                              input=data if piped else b'', check=False,
                              capture_output=True, timeout=120)


def read_disks(folder, files):
    disks = {}
    for device, name in files.items():
        with open(os.path.join(folder, name), 'rb') as file:
            disks[device] = file.read()
    return disks


def run_body_case(a, piped, name, data, lost, doubtful, words):
    what = f'{name} (digests: {a.digests}, pipe: {piped}):'
    code = INCOMPLETE if words == 'ends in an extent' else DAMAGED
    doubtful = [] if a.digests else doubtful
    lost = ranges(c for i in lost for c in a.extents[i][2])
    doubtful = ranges(c for i in doubtful for c in a.extents[i][2])
    with tempfile.TemporaryDirectory() as folder:
        out = folder + '/out'
        result = run(data, piped, 'extract', '--salvage', '{}', out)
        text = result.stderr.decode()
        require(result.returncode == code and words in text, what, text)
        require(listed('lost: ', text) == lost, what, 'not lost:', lost, text)
        require(listed('this may be wrong: ', text) == doubtful, what,
                'not doubtful:', doubtful, text)
        require(('warning: the data has no checksums' in text) != a.digests,
                what, text)
        require(blank(read_disks(out, {1: 'disk-a.raw', 2: 'disk-b.raw'}),
                      doubtful) == blank(DISKS, lost + doubtful),
                what, 'wrong content')
    result = run(data, piped, 'verify', '{}')
    text = result.stdout.decode()
    require(result.returncode == code, what, result)
    require(listed('lost: ', text) == lost, what, 'verify:', text)
    require(listed('this may be wrong: ', text) == doubtful, what, text)


def run_header_case(a, piped, name, data, files, config, words):
    what = f'{name} (digests: {a.digests}, pipe: {piped}):'
    if a.digests:               # they are still checked, also without the mark
        start, _, clusters = a.extents[1]
        data = flip(data, start + 512)
        lost = ranges(c for c in clusters if c[0] in files)
    else:
        lost = []
    with tempfile.TemporaryDirectory() as folder:
        out = folder + '/out'
        result = run(data, piped, 'extract', '--salvage', '{}', out)
        text = result.stderr.decode()
        require(result.returncode == DAMAGED and words in text, what, text)
        require('what is said to be missing may be wrong' in text, what, text)
        names = sorted(list(files.values()) + (['conf'] if config else []))
        require(sorted(os.listdir(out)) == names, what, os.listdir(out), text)
        disks = {i: disk for i, disk in DISKS.items() if i in files}
        require({i: bytearray(disk) for i, disk in
                 read_disks(out, files).items()} == blank(disks, lost), what,
                'wrong content', text)
    for command in (['list', '{}'], ['config', '{}'],
                    ['extract', '{}', '/nonexistent/x']):
        result = run(data, piped, *command)
        require(result.returncode in (DAMAGED, INCOMPLETE), what, command,
                result)
    require(run(data, piped, 'verify', '{}').returncode == DAMAGED, what)


def run_hopeless_case(a, piped, name, data, words):
    what = f'{name} (digests: {a.digests}, pipe: {piped}):'
    with tempfile.TemporaryDirectory() as folder:
        for command in (['verify', '{}'],
                        ['extract', '--salvage', '{}', folder + '/out']):
            result = run(data, piped, *command)
            text = result.stderr.decode()
            require(result.returncode == DAMAGED and words in text, what, text)
            require('nothing can be salvaged' in text
                    or name in ('the magic', 'the version'), what, text)
        require(not os.listdir(folder), what, 'there are files')


def main():
    with tempfile.TemporaryDirectory() as folder:
        archives = [with_digests(folder), without_digests()]
    count = 0
    for a in archives:
        require(len(a.extents) >= 5, a.extents)
        for piped in (False, True):
            for case in body_cases(a):
                run_body_case(a, piped, *case)
                count += 1
            for case in header_cases(a):
                run_header_case(a, piped, *case)
                count += 1
            for case in hopeless_cases(a):
                run_hopeless_case(a, piped, *case)
                count += 1
        with tempfile.TemporaryDirectory() as folder:
            result = run(a.data, False, 'extract', '--salvage', '{}',
                         folder + '/out')
            require(result.returncode == 0
                    and b'no checksums' not in result.stderr, result)
    print(f'{count} cases')


if __name__ == '__main__':
    main()
