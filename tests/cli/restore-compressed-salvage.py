#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A damaged frame of a compressed archive costs the extents in it, which are
listed exactly; where nothing tells the frames' places, in a pipe, all from
there on.  A seek table that is damaged costs nothing.
"""
import importlib.util
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.dont_write_bytecode = True


def load(path):
    spec = importlib.util.spec_from_file_location('m', ROOT + path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Its disks, its knowledge of extents, and what it reads out of messages.
salvage = load('/tests/cli/restore-salvage.py')
seekable = load('/tests/lib/seekable.py')
SINK, DUMP = salvage.SINK, salvage.DUMP
DAMAGED, INCOMPLETE = 3, 4


def make_archive(folder, size):
    args = [DUMP, '-c', folder + '/conf']
    for device, disk in salvage.DISKS.items():
        path = os.path.join(folder, salvage.NAMES[device])
        with open(path, 'wb') as file:
            file.write(disk)
        args.append(salvage.NAMES[device] + '=' + path)
    with open(folder + '/conf', 'wb') as file:
        file.write(salvage.CONFIG)
    stream = subprocess.run(args, check=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL).stdout
    return subprocess.run([SINK, '-o', '-', '--compress=zstd:1',
                           '--frame-size', size], input=stream, check=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def extents_in(archive, first, end):
    """Those of which a part is within these bytes of the plain archive."""
    return [i for i, (start, stop, _) in enumerate(archive.extents)
            if start < end and stop > first]


def content_places(frames):
    """(start, end) of what each decompresses to."""
    places, at = [], 0
    for frame in frames:
        places.append((at, at + frame.content_size))
        at += frame.content_size
    return places


def check(what, archive, data, lost, piped=False, code=DAMAGED, words='',
          whole=False):
    lost = salvage.ranges(c for i in lost for c in archive.extents[i][2])
    with tempfile.TemporaryDirectory() as folder:
        out = folder + '/out'
        result = salvage.run(data, piped, 'extract', '--salvage', '{}', out)
        text = result.stderr.decode()
        salvage.require(result.returncode == code and words in text, what,
                        result)
        salvage.require(salvage.listed('lost: ', text) == lost, what,
                        'not lost:', lost, text)
        salvage.require(salvage.read_disks(
            out, {1: 'disk-a.raw', 2: 'disk-b.raw'}) ==
            salvage.blank(salvage.DISKS, lost), what, 'wrong content')
        result = salvage.run(data, piped, 'verify', '{}')
        salvage.require(result.returncode == code and salvage.listed(
            'lost: ', result.stdout.decode()) == lost, what, result)
        # And without being asked to, nothing, unless all of it is whole.
        result = salvage.run(data, piped, 'extract', '{}', folder + '/x')
        salvage.require(result.returncode == (0 if whole else code) and
                        os.path.exists(folder + '/x') == whole, what, result)


def flip(data, at):
    return salvage.flip(data, at)


def check_frames(data):
    archive = salvage.Archive(seekable.decompress(data))
    frames = [f for f in seekable.read_table(data) if f.content_size]
    places = content_places(frames)
    salvage.require(places[-1][1] == len(archive.data), 'places')
    # Not the end mark's, of which nothing is lost.
    last = extents_in(archive, *places[-1])
    ends = len(frames) - 1 if last == [len(archive.extents) - 1] else (
        len(frames))
    for i in range(1, ends):
        middle = frames[i].offset + frames[i].size // 2
        bad = flip(data, middle)
        what = f'frame {i} of {len(frames)}'
        check(what, archive, bad, extents_in(archive, *places[i]),
              words=f'frame {i} at offset {frames[i].offset}')
    check('the magic of frame 1', archive,
          salvage.overwrite(data, frames[1].offset, b'xxxx'),
          extents_in(archive, *places[1]))
    if len(frames) > 4:
        bad = flip(flip(data, frames[1].offset + 500),
                   frames[3].offset + 500)
        check('frames 1 and 3', archive, bad,
              extents_in(archive, *places[1]) +
              extents_in(archive, *places[3]))
        # In a pipe the next frame can't be found; some of the bad one may be
        # had before it shows, but no whole extent of these.
        check('frame 3, pipe', archive,
              flip(data, frames[3].offset + frames[3].size // 2),
              list(range(extents_in(archive, *places[3])[0],
                         len(archive.extents))), piped=True)
        check('cut within frame 3', archive,
              data[:frames[3].offset + 100],
              list(range(extents_in(archive, *places[3])[0],
                         len(archive.extents))), code=INCOMPLETE)
    table = seekable.read_table(data)
    start = table[-1].offset + table[-1].size
    check('the seek table', archive, flip(data, start + 8), [],
          words='bad seek table', whole=True)
    # The first frame is the archive's header; nothing is read without it.
    result = salvage.run(flip(data, 50), False, 'extract', '--salvage', '{}',
                         '/nonexistent/x')
    salvage.require(result.returncode == DAMAGED, 'frame 0', result)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for size in ('1', '6M', '32M'):
            check_frames(make_archive(folder, size))


if __name__ == '__main__':
    main()
