# SPDX-License-Identifier: GPL-2.0-or-later
"""Random disks, in an I/O thread or not, whose clients write all the while.

Each client has areas of its own, which share clusters with those of others, and
makes one request at a time on any of the disks.  So what a backup has of it is
what it had written until one of its requests.
"""

import random
import threading
import time

from harness import Failure, Nbd, Reader, check

AREA = 24 << 10     # 3/8 of a cluster
CLIENTS = 3
KINDS = ('raw', 'qcow2 -o cluster_size=512', 'qcow2 -o compat=0.10', 'qcow2 -c',
         'qcow2 -o cluster_size=16k,extended_l2=on', 'qcow2 -o cluster_size=2M')


def areas(image, number):
    return b''.join(image[start:start + AREA] for start in
                    range(number * AREA, len(image), CLIENTS * AREA))


def make_disk(t, rng, name):    # returns the contents, and the node
    size = rng.choice((1, 2, 3)) * (1 << 20) + rng.randrange(128) * 512
    data = b''.join(rng.choice((bytes(1), rng.randbytes(1))) * 4096
                    for _ in range(size // 4096 + 1))[:size]
    image = rng.choice(KINDS).split()
    t.img('convert', '-f', 'raw', '-O', *image, t.raw(name + '.raw', data),
          t.path(name))
    # no discards: in some releases they harm a qcow2 image that is written to
    return data, (
        'driver=%s,node-name=%s,detect-zeroes=%s,file.driver=file,'
        'file.filename=%s' %
        (image[0], name, rng.choice(('off', 'on')), t.path(name)))


class Client(threading.Thread):
    def __init__(self, rng, number, path, disks):
        super().__init__(daemon=True)
        self._rng, self._number = rng, number
        self._exports = {name: Nbd(path, name) for name in disks}
        self.states = {name: bytearray(data) for name, data in disks.items()}
        self.done = []      # requests since the last look: name, offset, data
        self.stop = threading.Event()
        self.error = None
        for name, data in disks.items():
            self._exports[name].write(0, data[:1])  # surely connected
        self.start()

    def run(self):
        rng = self._rng
        try:
            while not self.stop.is_set():
                name = rng.choice(list(self._exports))
                area = rng.randrange(self._number,
                                     len(self.states[name]) // AREA, CLIENTS)
                start, end = sorted(rng.sample(range(AREA), 2))
                data = rng.choice((bytes(1), rng.randbytes(1))) * (end - start)
                self._exports[name].write(area * AREA + start, data)
                self.done.append((name, area * AREA + start, data))
                time.sleep(rng.random() / 200)
        except (OSError, EOFError, Failure) as err:
            self.error = err

    def look(self, images, least, most):
        """Are these the contents after least to most requests?"""
        while len(self.done) < most and not self.error:
            time.sleep(0.001)
        check(not self.error, 'the client failed: %r' % self.error)
        for number in range(most + 1):
            if number:
                name, offset, data = self.done.pop(0)
                self.states[name][offset:offset + len(data)] = data
            if number >= least and all(
                    areas(images[name], self._number) ==
                    areas(state, self._number)
                    for name, state in self.states.items()):
                return
        check(False, 'client %d: no moment has these contents' % self._number)


def run(t, seed):
    rng = random.Random(seed)
    disks, args = {}, ['-object', 'iothread,id=io0']
    path = t.path('nbd%d' % seed)
    for number in range(rng.choice((1, 2, 3))):
        name = 'd%d-%d' % (seed, number)
        disks[name], node = make_disk(t, rng, name)
        args += ['-blockdev', node]
    vm = t.machine(*args)
    addr = {'type': 'unix', 'data': {'path': path}}
    vm.qmp.cmd('nbd-server-start', addr=addr)
    for name in disks:
        vm.qmp.cmd('block-export-add', type='nbd', id='e' + name,
                   node_name=name, **rng.choice(({}, {'iothread': 'io0'})),
                   writable=True)
    clients = [Client(random.Random(seed * 10 + number), number, path, disks)
               for number in range(CLIENTS)]
    for last in (False, False, True):
        for client in clients if last else ():
            client.stop.set()
            client.join(10)
        least = [len(client.done) for client in clients]
        speed = rng.choice((0, 1 << 20, 4 << 20))
        reader = Reader(vm.to_pipe(devlist=','.join(disks), speed=speed))
        most = [len(client.done) + (not last) for client in clients]
        time.sleep(rng.random() / 2)
        vm.full_speed()
        stream = reader.result()
        vm.end('done')
        images = {name: stream.device(name).image for name in disks}
        for client, *bounds in zip(clients, least, most):
            client.look(images, *bounds)
    vm.kill()


def test_writes(t):
    """A backup of random disks has of every client that writes to them what it
    had written until one of its requests, and the last one has all."""
    for seed in range(5):
        run(t, seed)
