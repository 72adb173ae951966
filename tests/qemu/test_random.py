# SPDX-License-Identifier: GPL-2.0-or-later
"""vma-dump --method=nbd: random writes, zeroes and discards to disks of many
kinds, before, while and after the point in time is set, against a model.
$RANDOM_SEEDS has other seeds."""

import json
import os
import random
import threading

from harness import CLUSTER, check, equal, pattern
from unpatched import Host, wrong_clusters

SEEDS = [int(n) for n in os.environ.get('RANDOM_SEEDS', '1 2 3 4').split()]


def file_node(t, name, driver, **options):
    return {'driver': driver, 'discard': 'unmap', **options, 'file': {
        'driver': 'file', 'filename': t.path(name), 'discard': 'unmap'}}


def image(t, name, data, options, **more):
    """OPTIONS: of qcow2, or None: raw, sparse"""
    form = ['-O', 'qcow2', '-o', options] if options else ['-O', 'raw']
    t.img('convert', '-f', 'raw', *form, t.raw(name + '.all', data),
          t.path(name))
    return file_node(t, name, form[1], **more)


def overlay(t, name, data, rng):
    """Of an image that is shorter, or longer"""
    base = data[:-3 * CLUSTER] if rng.random() < 0.5 else data + data[:CLUSTER]
    data[len(base):] = bytes(max(len(data) - len(base), 0))
    below = image(t, name + '-base', base, 'cluster_size=512')
    t.img('create', '-f', 'qcow2', '-b', t.path(name + '-base'), '-F', 'qcow2',
          t.path(name), str(len(data)))
    return file_node(t, name, 'qcow2', backing=below)


def disk(t, name, rng):
    """The blockdev of a disk of some kind, and what it has: clusters of which
    some are holes, and some have little data"""
    size = rng.randrange(8, 90) * CLUSTER + rng.choice((0, 512, 4096, 61440))
    data = bytearray(size)
    for start in range(0, size, CLUSTER):
        end = min(start + rng.choice((0, 0, 512, 4096, CLUSTER)), size)
        data[start:end] = rng.randbytes(end - start)
    detect = {'detect-zeroes': rng.choice(('off', 'on', 'unmap'))}
    return rng.choice((
        lambda: image(t, name, data, None, **detect),
        lambda: image(t, name, bytes(1536) + data + bytes(512), None,
                      offset=1536, size=size),
        lambda: image(t, name, data, 'cluster_size=512,compat=0.10'),
        lambda: image(t, name, data, 'preallocation=metadata'),
        lambda: image(t, name, data, 'cluster_size=2M,extended_l2=on'),
        lambda: overlay(t, name, data, rng),
        lambda: {'driver': 'copy-on-read', 'file': overlay(t, name, data, rng)},
        lambda: {'driver': 'throttle', 'throttle-group': 'group',
                 'file': overlay(t, name, data, rng)}))(), data


class Guest:
    def __init__(self, t, rng):
        self.rng = rng
        self.now, args = [], ['-object', 'throttle-group,id=group']
        first = pattern(5 << 20)    # while it waits, the others are not read
        for n in range(rng.randrange(2, 4)):
            node, data = (disk(t, 'disk%d' % n, rng) if n > 0 else
                          (image(t, 'disk0', first, None), first))
            self.now.append(data)
            node['node-name'] = 'n%d' % n
            args += ['-blockdev', json.dumps(node), '-device',
                     'virtio-blk-pci,id=d%d,drive=n%d' % (n, n)]
        self.vm = Host(t, *args)

    def write(self, discard=True):
        """Anywhere, often at the end.  What a discard leaves is not defined, so
        it is overwritten."""
        n = self.rng.randrange(len(self.now))
        size = len(self.now[n])
        offset = self.rng.choice((self.rng.randrange(size) // 512 * 512,
                                  size - 512, size // CLUSTER * CLUSTER - 512))
        count = min(self.rng.choice((512, 1024, 4096, CLUSTER, 3 * CLUSTER)),
                    size - offset)
        value = self.rng.choice((0, 0, self.rng.randrange(1, 256)))
        if discard and self.rng.random() < 0.3:
            self.vm.io('d%d' % n, 'discard -q %d %d' % (offset, count))
        how = '-P %d' % value if value else self.rng.choice(('-z', '-z -u'))
        self.vm.io('d%d' % n, 'write -q %s %d %d' % (how, offset, count))
        self.now[n][offset:offset + count] = bytes([value]) * count
        return n, offset, bytes([value]) * count


def test_disks(t):
    """A backup of whatever disks has what they had at one moment, whatever is
    written meanwhile, and afterwards they have all that was."""
    folder = t.dir
    for seed in SEEDS:
        t.dir = os.path.join(folder, 'seed%d' % seed)
        os.mkdir(t.dir)
        guest, written = Guest(t, random.Random(seed)), []
        for _ in range(20):
            guest.write()
        state = [bytearray(data) for data in guest.now]
        dump = guest.vm.dump()
        starter = threading.Thread(target=dump.start)
        starter.start()
        while seed % 2 and starter.is_alive():
            written.append(guest.write(discard=False))
        starter.join()
        for _ in range(60):
            guest.write()
        images = list(dump.read().values())
        while state != images and written:
            n, offset, data = written.pop(0)
            state[n][offset:offset + len(data)] = data
        equal([wrong_clusters(*pair) for pair in zip(images, state)],
              [[]] * len(state), 'wrong clusters, seed %d' % seed)
        check(list(guest.vm.dump().start().read().values()) == guest.now,
              'the disks afterwards, seed %d' % seed)
        guest.vm.clean()
        guest.vm.kill()
    t.dir = folder
