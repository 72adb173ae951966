# SPDX-License-Identifier: GPL-2.0-or-later
"""A file system that has lost its power, as unkind as POSIX allows.

Model follows a program's calls (strace.py).  At any moment states() has what may
be found after a loss of power then:

- of what was written to a file since its last sync, or to its size, any part: a
  call may be lost or done in part, whatever came after it;
- of the names that were made, moved or removed in a folder since its last sync,
  any: each call is there as a whole or not at all, whatever came before it;
- a file's sync makes nothing of its name durable, nor a folder's sync anything
  of its files' contents.
"""

import itertools
import os
import random

BLOCK = 4096
MANY = 6        # calls, of which all subsets are tried


class Change:
    count = 0       # of changes and syncs


class File:
    def __init__(self, data=b''):
        self.durable = bytes(data)
        self.data = bytearray(data)
        self.pending = []

    def change(self, offset, data=None):
        """Writes DATA, or cuts or extends at OFFSET"""
        Change.count += 1
        apply(self.data, offset, data)
        self.pending.append((offset, data))

    def sync(self):
        Change.count += 1
        self.durable = bytes(self.data)
        self.pending = []


class Folder:
    def __init__(self):
        self.durable = {}
        self.names = {}
        self.pending = []

    def change(self, *sets):
        """Each of SETS is a name and what it is from now on, or None"""
        Change.count += 1
        enter(self.names, sets)
        self.pending.append(sets)

    def sync(self):
        Change.count += 1
        self.durable = dict(self.names)
        self.pending = []


def apply(content, offset, data):
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    else:
        content.extend(bytes(max(0, offset - len(content))))
        content[offset:offset + len(data)] = data


def enter(names, sets):
    for name, what in sets:
        if what is None:
            names.pop(name, None)
        else:
            names[name] = what


def subsets(count, rng, tries):
    """Of COUNT calls: none, all, all but each, each alone, and others"""
    if count <= MANY:
        yield from itertools.product((False, True), repeat=count)
        return
    yield (False,) * count
    yield (True,) * count
    for i in range(count):
        yield tuple(j != i for j in range(count))
        yield tuple(j == i for j in range(count))
    for _ in range(tries):
        yield tuple(rng.random() < 0.5 for _ in range(count))


def names_after(folder, chosen):
    names = dict(folder.durable)
    for sets, there in zip(folder.pending, chosen):
        if there:
            enter(names, sets)
    return names


def contents_after(file, rng, tries):
    """What a file may hold"""
    if not file.pending:
        yield file.durable
        return
    picks = [[True] * len(file.pending), [False] * len(file.pending)]
    for _ in range(tries):
        picks.append([rng.random() < rng.choice((0.1, 0.5, 0.9))
                      for _ in file.pending])
    picks.append([i != len(file.pending) - 1 for i in range(len(file.pending))])
    for chosen in picks:
        content = bytearray(file.durable)
        for (offset, data), there in zip(file.pending, chosen):
            if there:
                apply(content, offset, data)
        yield bytes(content)
    # The last one is done in part.
    offset, data = file.pending[-1]
    if data and len(data) > BLOCK:
        content = bytearray(file.durable)
        for change in file.pending[:-1]:
            apply(content, *change)
        apply(content, offset, data[:rng.randrange(1, len(data) // BLOCK + 1) *
                                    BLOCK - 1])
        yield bytes(content)


class Model:
    """Everything below ROOT, the program's working folder"""

    def __init__(self, root):
        self.root = os.path.realpath(root)
        self.top = self._scan(self.root)
        self._fds = {}          # [file or folder, offset], shared by a dup()
        self.output = b''       # standard output and error

    def _scan(self, path):
        if not os.path.isdir(path):
            with open(path, 'rb') as file:
                return File(file.read())
        folder = Folder()
        for name in os.listdir(path):
            inside = os.path.join(path, name)
            if os.path.isdir(inside) or os.path.isfile(inside):
                folder.names[name] = self._scan(inside)
        folder.sync()
        return folder

    def same(self, path=None, what=None):
        """Whether the model is what the real folder is now"""
        path, what = path or self.root, what or self.top
        if isinstance(what, File):
            with open(path, 'rb') as file:
                return file.read() == what.data
        there = {name for name in os.listdir(path)
                 if os.path.isdir(os.path.join(path, name)) or
                 os.path.isfile(os.path.join(path, name))}
        return there == set(what.names) and all(
            self.same(os.path.join(path, name), inside)
            for name, inside in what.names.items())

    def find(self, path, start=None):
        """The folder that PATH is in, its name there, what it is or None"""
        path = path.decode() if isinstance(path, bytes) else path
        if path.startswith('/'):
            path = os.path.normpath(path)
            if path == self.root:
                return None, '', self.top
            if not path.startswith(self.root + '/'):
                return None, '', None
            path, start = path[len(self.root) + 1:], None
        folder = start or self.top
        parts = [part for part in path.split('/') if part not in ('', '.')]
        above = [folder]
        for part in parts[:-1]:
            if part == '..':
                above = above[:-1] or [self.top]
            else:
                inside = above[-1].names.get(part)
                if not isinstance(inside, Folder):
                    return None, '', None
                above.append(inside)
        if not parts or parts[-1] == '..':
            return None, '', (above[-2:] or [self.top])[0] if parts else folder
        return above[-1], parts[-1], above[-1].names.get(parts[-1])

    def _find_at(self, call, index, string=0):
        """Of a call like openat(): where its path is"""
        start = call.arguments[index]
        entry = None if start == 'AT_FDCWD' else self._fds.get(int(start))
        return self.find(call.strings[string], entry and entry[0])

    def _open(self, call, place, flags):
        folder, name, what = place
        if folder and what is None and 'O_CREAT' in flags:
            what = File()
            folder.change((name, what))
        if 'O_TMPFILE' in flags and 'O_DIRECTORY' not in flags:
            what = File()
        if isinstance(what, File) and 'O_TRUNC' in flags:
            what.change(0)
        self._fds[call.result] = [what, 0]

    def _write(self, call):
        entry = self._fds.get(call.number(0))
        data = b''.join(call.strings)[:call.result]
        if entry is None and call.number(0) in (1, 2):
            self.output += data
        if not entry or not isinstance(entry[0], File):
            return
        if call.name.startswith('pwrite'):
            entry[0].change(call.number(3 if call.name == 'pwrite64' else
                                        len(call.arguments) - 1), data)
        else:
            entry[0].change(entry[1], data)
            entry[1] += len(data)

    def _rename(self, call, source, target, flags=''):
        folder, name, what = source
        to_folder, to_name, other = target
        if folder is None and to_folder is None:
            return
        if folder is not to_folder:
            raise NotImplementedError('a rename from folder to folder')
        if 'RENAME_EXCHANGE' in flags:
            folder.change((name, other), (to_name, what))
        else:
            folder.change((name, None), (to_name, what))

    def feed(self, call):
        """Takes the next call, returns whether it changes what may be found.  A
        call that is not known changes nothing; if it did, same() tells."""
        before = Change.count, self.output
        self._take(call)
        return (Change.count, self.output) != before

    def _take(self, call):
        name = call.name
        if name in ('open', 'creat'):
            self._open(call, self.find(call.strings[0]),
                       'O_CREAT|O_TRUNC' if name == 'creat' else
                       call.arguments[1])
        elif name == 'openat':
            self._open(call, self._find_at(call, 0), call.arguments[2])
        elif name == 'close':
            self._fds.pop(call.number(0), None)
        elif name in ('dup', 'dup2', 'dup3') or (
                name == 'fcntl' and call.arguments[1].startswith('F_DUPFD')):
            if call.number(0) in self._fds:
                self._fds[call.result] = self._fds[call.number(0)]
        elif name in ('write', 'writev', 'pwrite64', 'pwritev', 'pwritev2'):
            self._write(call)
        elif name == 'lseek' and call.number(0) in self._fds:
            self._fds[call.number(0)][1] = call.result
        elif name == 'ftruncate':
            entry = self._fds.get(call.number(0))
            if entry and isinstance(entry[0], File):
                entry[0].change(call.number(1))
        elif name == 'fallocate' and 'PUNCH_HOLE' in call.arguments[1]:
            entry = self._fds.get(call.number(0))
            if entry and isinstance(entry[0], File):
                entry[0].change(call.number(2), bytes(call.number(3)))
        elif name in ('fsync', 'fdatasync'):
            entry = self._fds.get(call.number(0))
            if entry and entry[0]:
                entry[0].sync()
        elif name == 'rename':
            self._rename(call, self.find(call.strings[0]),
                         self.find(call.strings[1]))
        elif name in ('renameat', 'renameat2'):
            self._rename(call, self._find_at(call, 0),
                         self._find_at(call, 2, 1), call.arguments[-1])
        elif name in ('link', 'linkat'):
            folder, new, _ = (self.find(call.strings[1]) if name == 'link' else
                              self._find_at(call, 2, 1))
            source = (self.find(call.strings[0]) if name == 'link' else
                      self._find_at(call, 0))
            if folder:
                folder.change((new, source[2]))
        elif name in ('unlink', 'unlinkat', 'rmdir'):
            folder, old, _ = (self._find_at(call, 0) if name == 'unlinkat' else
                              self.find(call.strings[0]))
            if folder:
                folder.change((old, None))
        elif name in ('mkdir', 'mkdirat'):
            folder, new, _ = (self.find(call.strings[0]) if name == 'mkdir' else
                              self._find_at(call, 0))
            if folder:
                folder.change((new, Folder()))

    def states(self, paths, rng=None, tries=3):
        """Yields what may be found: a path and its content (None: nothing; a
        dict: a folder's names and contents).  Contents of files are tried with
        TRIES losses each that are chosen at random."""
        rng = rng or random.Random(1)
        for path in paths:
            for what in self._path_states(self.top, path.split('/'), rng,
                                          tries):
                yield path, what

    def _path_states(self, folder, parts, rng, tries):
        seen = set()
        for chosen in subsets(len(folder.pending), rng, tries):
            what = names_after(folder, chosen).get(parts[0])
            if id(what) in seen:
                continue
            seen.add(id(what))
            if what is None:
                yield None
            elif parts[1:]:
                yield from self._path_states(what, parts[1:], rng, tries)
            elif isinstance(what, File):
                yield from contents_after(what, rng, tries)
            else:
                yield from self._folder_states(what, rng, tries)

    def _folder_states(self, folder, rng, tries):
        for chosen in subsets(len(folder.pending), rng, tries):
            names = names_after(folder, chosen)
            files = {name: list(contents_after(what, rng, tries))
                     for name, what in names.items()}
            for i in range(max((len(f) for f in files.values()), default=1)):
                yield {name: found[min(i, len(found) - 1)]
                       for name, found in files.items()}
