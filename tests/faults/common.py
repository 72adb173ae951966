# SPDX-License-Identifier: GPL-2.0-or-later
"""What the faults share: the programs, a folder, disks, and what is right."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile

BUILD = os.path.abspath(os.environ.get('B', 'build'))
DUMP = os.path.join(BUILD, 'vma-dump')
SINK = os.path.join(BUILD, 'vma-sink')
RESTORE = os.path.join(BUILD, 'vma-restore')
SHIM = os.path.join(BUILD, 'tests', 'fault.so')
CLUSTER = 65536


class Folder:
    """A working folder, removed at the end"""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='vma-faults-')
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def join(self, *names):
        return os.path.join(self.path, *names)


def with_shim(**settings):
    """The environment of a program with the shim of tests/lib/fault.c"""
    return dict(os.environ, LD_PRELOAD=SHIM, LC_ALL='C.UTF-8',
                **{'FAULT_' + name.upper(): str(value)
                   for name, value in settings.items()})


def sanitized():
    """Whether the programs were built with a sanitizer: then no shim works"""
    return b'libasan' in subprocess.run(['ldd', SINK], check=True,
                                        capture_output=True).stdout


def make_disk(path, size, seed):
    """A disk with data, holes and single blocks"""
    rng = random.Random(seed)
    with open(path, 'wb') as file:
        file.truncate(size)
        for cluster in range(-(-size // CLUSTER)):
            if rng.random() < 0.6:
                start = cluster * CLUSTER
                length = min(CLUSTER, size - start)
                if rng.random() < 0.2:
                    length = min(4096, length)
                file.seek(start)
                file.write(rng.randbytes(length))


def read(path):
    """A file's content, a folder's as a dict, None if there is nothing"""
    if os.path.isdir(path):
        return {name: read(os.path.join(path, name))
                for name in os.listdir(path)}
    try:
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        return None


def digest(path):
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').digest()


def listing(path):
    """All names below a folder, which may be missing"""
    found = set()
    for folder, folders, files in os.walk(path):
        for name in folders + files:
            found.add(os.path.relpath(os.path.join(folder, name), path))
    return found


def copy(source, target):
    if os.path.isdir(source):
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def run(argv, **kwargs):
    """A program from begin to end; fails where it does not do what it should"""
    kwargs.setdefault('stderr', subprocess.PIPE)
    result = subprocess.run(argv, timeout=120, **kwargs)
    if result.returncode != 0:
        raise RuntimeError('%s: exit code %d: %s' % (
            argv, result.returncode, (result.stderr or b'').decode()))
    return result


def verify(archive):
    """Whether vma-restore finds nothing wrong with it"""
    return subprocess.run([RESTORE, 'verify', archive],
                          capture_output=True).returncode == 0


def disks_of(archive, folder):
    """Extracts it to a new folder, returns content by disk's name"""
    run([RESTORE, 'extract', archive, folder])
    found = {name[5:-4]: read(os.path.join(folder, name))
             for name in os.listdir(folder) if name.startswith('disk-')}
    shutil.rmtree(folder)
    return found


def info(archive):
    return json.loads(run([RESTORE, 'list', '--json', archive],
                          stdout=subprocess.PIPE).stdout)
