#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon and how fast the plugin for nbdkit serves an archive's only disk.

usage: nbd.py PLUGIN ARCHIVE FOLDER [ROUNDS]

The first byte counts from the start of nbdkit.  Then reads of 4 KiB and 64 KiB
at random places, one at a time and sixteen at once.  See nbd.sh.
"""

import os
import random
import socket
import statistics
import struct
import subprocess
import sys
import time

SECONDS = 2


class Client:
    """One connection, with as many requests on the way as one likes"""

    def __init__(self, path, deadline):
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(path)
                break
            except OSError:
                self._socket.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
        self._file = self._socket.makefile('rb')
        assert self._file.read(16) == b'NBDMAGICIHAVEOPT'
        self._file.read(2)
        # no zeroes after the answer; NBD_OPT_EXPORT_NAME of the default
        self._socket.sendall(struct.pack('>I', 3) + b'IHAVEOPT' +
                             struct.pack('>II', 1, 0))
        self.size = struct.unpack('>Q', self._file.read(8))[0]
        self._file.read(2)
        self._lengths = {}

    def send(self, number, offset, length):
        self._lengths[number] = length
        self._socket.sendall(struct.pack('>IHHQQI', 0x25609513, 0, 0, number,
                                         offset, length))

    def receive(self):
        magic, error, number = struct.unpack('>IIQ', self._file.read(16))
        assert (magic, error) == (0x67446698, 0), error
        length = self._lengths.pop(number)
        assert len(self._file.read(length)) == length

    def close(self):
        self._file.close()
        self._socket.close()


class Server:
    def __init__(self, plugin, archive, path):
        if os.path.exists(path):
            os.unlink(path)
        self.start = time.monotonic()
        self._path = path
        self._process = subprocess.Popen(
            ['nbdkit', '-f', '--exit-with-parent', '-U', path, plugin,
             archive])

    def peak_kib(self):
        with open(f'/proc/{self._process.pid}/status',
                  encoding='ascii') as file:
            return next(int(line.split()[1]) for line in file
                        if line.startswith('VmHWM'))

    def stop(self):
        self._process.terminate()
        self._process.wait()
        if os.path.exists(self._path):
            os.unlink(self._path)


def first_byte(plugin, archive, path, offset):
    server = Server(plugin, archive, path)
    try:
        client = Client(path, server.start + 60)
        client.send(0, offset % (client.size - 4096), 4096)
        client.receive()
        seconds = time.monotonic() - server.start
        client.close()
        return seconds
    finally:
        server.stop()


def reads(client, length, at_once, rng):
    """Reads per second"""
    start = time.monotonic()
    sent = received = 0
    while received < sent or time.monotonic() < start + SECONDS:
        while (sent - received < at_once and
               time.monotonic() < start + SECONDS):
            client.send(sent, rng.randrange(client.size // length) * length,
                        length)
            sent += 1
        client.receive()
        received += 1
    return received / (time.monotonic() - start)


def main():
    plugin, archive, folder = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    path = os.path.join(folder, 'nbd')
    rng = random.Random(1)
    times = sorted(first_byte(plugin, archive, path, rng.getrandbits(60))
                   for _ in range(rounds))
    print('first byte: %.3f s (%.3f to %.3f)' %
          (statistics.median(times), times[0], times[-1]))
    server = Server(plugin, archive, path)
    try:
        client = Client(path, server.start + 60)
        for length in (4096, 65536):
            for at_once in (1, 16):
                got = sorted(reads(client, length, at_once, rng)
                             for _ in range(min(rounds, 3)))
                print('%d KiB at random places, %d at once: %.0f reads a '
                      'second (%.0f to %.0f)' %
                      (length // 1024, at_once, statistics.median(got),
                       got[0], got[-1]))
        client.close()
        print('peak memory of nbdkit: %d KiB' % server.peak_kib())
    finally:
        server.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main())
