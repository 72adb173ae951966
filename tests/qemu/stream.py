#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A reader of the backup stream, written from wire-format.md alone.

It is strict and slow on purpose: it checks every requirement that a producer
can violate, keeps whole disks in memory, and shares no code with the product.
It knows nothing of QEMU.

As a program it reads a stream from stdin, or from the file named, and prints
what it found.
"""

import struct
import sys
import zlib

CLUSTER = 65536
MAGIC = b'\x89QBS\r\n\x1a\n'
RECORD_MAGIC = b'QBSr'
DATA, ZERO, DEVICE_END, END, ABORT = 1, 2, 3, 4, 5
ANSWER = 2                  # a feature: the reader is to answer
COMMITTED, FAILED = 0, 1    # what it may say


class Damaged(Exception):
    """A requirement is violated."""


class Incomplete(Exception):
    """The stream ended before its end record."""


class Aborted(Incomplete):
    """The producer gave up and said so."""

    def __init__(self, reason, message):
        super().__init__('aborted: reason %d: %s' % (reason, message))
        self.reason = reason
        self.message = message


def require(condition, requirement, text):
    if not condition:
        raise Damaged('[%s] %s' % (requirement, text))


def text_of(data, what):
    """[G3]"""
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        raise Damaged('[G3] %s is not UTF-8' % what) from None
    require(all(ord(c) >= 0x20 and ord(c) != 0x7f for c in text), 'G3',
            '%s has control characters' % what)
    return text


def name_of(data, what):
    require(1 <= len(data) <= 255, 'G3', '%s has %d bytes' % (what, len(data)))
    return text_of(data, what)


class Device:
    def __init__(self, device_id, name, size):
        self.id = device_id
        self.name = name
        self.size = size
        self.clusters = (size + CLUSTER - 1) // CLUSTER
        self.image = bytearray(size)
        self.kind = [0] * self.clusters     # 0 or the type of its record
        self.ended = False

    def count(self, kind):
        return self.kind.count(kind)


class Stream:
    """What was read so far; 'complete' only after END."""

    def __init__(self, source):
        """source: has read(n), which may return less than n bytes"""
        self._source = source
        self.offset = 0
        self.devices = {}       # by id
        self.configs = {}       # name -> data
        self.records = []       # (type, device id, first cluster, count)
        self.complete = False
        self.start_time = None
        self.end_time = None
        self.uuid = None
        self.features = 0

    def _take(self, size, where):
        data = bytearray()
        while len(data) < size:
            piece = self._source.read(size - len(data))
            if not piece:
                raise Incomplete('end of file at offset %d, in %s' %
                                 (self.offset + len(data), where))
            data += piece
        self.offset += size
        return bytes(data)

    def _check(self, data, where):
        """data ends with its check [G4]"""
        (check,) = struct.unpack('>I', data[-4:])
        require(check == zlib.crc32(self.uuid + data[:-4]), 'G4',
                'the check of %s is wrong' % where)

    def device(self, name):
        for dev in self.devices.values():
            if dev.name == name:
                return dev
        raise KeyError(name)

    def read_preamble(self):
        data = self._take(64, 'the preamble')
        (magic, version, size, features, cluster, n_dev, n_conf, start_ns,
         start_s, uuid, reserved) = struct.unpack('>8sIIIIHHIq16s8s', data)
        require(magic == MAGIC, 'P1', 'not a stream: %r' % magic)
        require(version == 1, 'P1', 'version %d' % version)
        require(size % 8 == 0 and 72 <= size <= 17 << 20, 'P2',
                'preamble of %d bytes' % size)
        data += self._take(size - 64, 'the preamble')
        (check,) = struct.unpack('>I', data[-4:])
        require(check == zlib.crc32(data[:-4]), 'G4',
                'the check of the preamble is wrong')
        require(features in (0, ANSWER), 'P3', 'features 0x%x' % features)
        require(cluster == CLUSTER, 'P4', 'clusters of %d bytes' % cluster)
        require(1 <= n_dev <= 254, 'P5', '%d devices' % n_dev)
        require(n_conf <= 256, 'P7', '%d configs' % n_conf)
        require(start_ns <= 999999999, 'P8', 'start_time_ns %d' % start_ns)
        require(any(uuid), 'P9', 'the uuid is zero')
        require(not any(reserved), 'G2', 'reserved bytes in the preamble')
        require(not any(data[-8:-4]), 'G2', 'reserved bytes before the check')
        self.uuid = uuid
        self.features = features
        self.start_time = start_s * 10 ** 9 + start_ns

        pos, end = 64, size - 8

        def entry_bytes(n):
            nonlocal pos
            require(pos + n <= end, 'P2', 'the entries exceed the preamble')
            pos += n
            return data[pos - n:pos]

        def entry_padding():
            require(not any(entry_bytes(-pos % 8)), 'G2', 'padding')

        for _ in range(n_dev):
            (dev_id, res1, n_name, res2, dev_size) = struct.unpack(
                '>BBHIQ', entry_bytes(16))
            name = name_of(entry_bytes(n_name), 'a device name')
            entry_padding()
            require(not res1 and not res2, 'G2', 'reserved in a device entry')
            require(1 <= dev_id <= 254, 'P5', 'device id %d' % dev_id)
            require(dev_id not in self.devices, 'P5', 'id %d twice' % dev_id)
            require(all(name != d.name for d in self.devices.values()), 'P5',
                    'device name %s twice' % name)
            require(dev_size % 512 == 0 and dev_size <= 1 << 48, 'P6',
                    'device size %d' % dev_size)
            self.devices[dev_id] = Device(dev_id, name, dev_size)
        for _ in range(n_conf):
            (n_name, res, n_data) = struct.unpack('>HHI', entry_bytes(8))
            require(not res, 'G2', 'reserved in a config entry')
            require(n_data <= 65535, 'P7', 'config of %d bytes' % n_data)
            name = name_of(entry_bytes(n_name), 'a config name')
            require(name not in self.configs, 'P7', 'config %s twice' % name)
            self.configs[name] = entry_bytes(n_data)
            entry_padding()
        require(pos == end, 'P2', 'the entries do not fill the preamble')

    def read_record(self):
        """Returns the type of the record.  Raises Aborted at ABORT."""
        header = self._take(32, 'a record header')
        (magic, kind, dev_id, reserved, payload_hash, first, count, size,
         _check) = struct.unpack('>4sBBHQIIII', header)
        require(magic == RECORD_MAGIC, 'R1', 'record magic %r' % magic)
        self._check(header, 'a record header')
        require(not reserved, 'G2', 'reserved in a record header')
        require(payload_hash == 0, 'F1', 'a hash without the feature')
        # types from 128 are legal, but nobody is to send one today
        require(1 <= kind <= 5, 'R2', 'type %d' % kind)

        if kind <= DEVICE_END:
            require(dev_id in self.devices, 'R3', 'device id %d' % dev_id)
            dev = self.devices[dev_id]
            require(not dev.ended, 'E1', '%s goes on after its end' % dev.name)
        else:
            require(dev_id == 0, 'R3', 'device id %d' % dev_id)

        if kind in (DATA, ZERO):
            require(count >= 1 and first + count <= dev.clusters, 'R4',
                    'run %d+%d of %s' % (first, count, dev.name))
            start = first * CLUSTER
            end = min((first + count) * CLUSTER, dev.size)
            if kind == DATA:
                require(count <= 64, 'R5', '%d clusters of data' % count)
                require(size == end - start, 'R5', 'payload of %d' % size)
                dev.image[start:end] = self._take(size, 'a payload')
            else:
                require(size == 0, 'R5', 'zeroes with a payload')
            for i in range(first, first + count):
                require(dev.kind[i] == 0, 'R6',
                        'cluster %d of %s twice' % (i, dev.name))
                dev.kind[i] = kind
        else:
            require(first == 0 and count == 0, 'R8', 'a run where none is')

        if kind == DEVICE_END:
            require(size == 24, 'R8', 'DEVICE_END of %d bytes' % size)
            payload = self._take(size, 'DEVICE_END')
            self._check(payload, 'DEVICE_END')
            data, zero, reserved, _check = struct.unpack('>QQII', payload)
            require(not reserved, 'G2', 'reserved in DEVICE_END')
            require(0 not in dev.kind, 'E3',
                    '%d clusters of %s are missing' % (dev.count(0), dev.name))
            require((data, zero) == (dev.count(DATA), dev.count(ZERO)), 'E3',
                    'totals of %s' % dev.name)
            dev.ended = True
        elif kind == END:
            require(size == 48, 'R8', 'END of %d bytes' % size)
            payload = self._take(size, 'END')
            self._check(payload, 'END')
            (records, data, zero, data_bytes, end_s, end_ns,
             _check) = struct.unpack('>QQQQqII', payload)
            devs = self.devices.values()
            require(all(d.ended for d in devs), 'E3', 'a device has no end')
            require(records == len(self.records), 'E3', 'number of records')
            require(data == sum(d.count(DATA) for d in devs), 'E3', 'data')
            require(zero == sum(d.count(ZERO) for d in devs), 'E3', 'zeroes')
            require(data_bytes == sum(
                min(CLUSTER, d.size - i * CLUSTER) for d in devs
                for i in range(d.clusters) if d.kind[i] == DATA), 'E3',
                    'data_bytes')
            require(end_ns <= 999999999, 'E3', 'end_time_ns')
            self.end_time = end_s * 10 ** 9 + end_ns
            self.complete = True
        elif kind == ABORT:
            require(8 <= size <= 1032, 'R8', 'ABORT of %d bytes' % size)
            payload = self._take(size, 'ABORT')
            self._check(payload, 'ABORT')
            (reason,) = struct.unpack('>I', payload[:4])
            raise Aborted(reason, text_of(payload[4:-4], 'the message'))

        self.records.append((kind, dev_id, first, count))
        return kind

    def read_all(self):
        """Up to and including END; then nothing may follow [E6]"""
        self.read_preamble()
        while self.read_record() != END:
            pass
        if not self.features & ANSWER:
            require(not self._source.read(1), 'E6', 'bytes after END')
        return self

    def answer(self, status, message=b''):
        """The bytes of the answer (section 6)"""
        data = struct.pack('>4sIII', b'QBSa', status, len(message), 0) + message
        return data + struct.pack('>I', zlib.crc32(self.uuid + data))


def main():
    source = open(sys.argv[1], 'rb') if len(sys.argv) > 1 else sys.stdin.buffer
    try:
        stream = Stream(source).read_all()
    except (Damaged, Incomplete) as err:
        print('%s: %s' % (type(err).__name__.lower(), err))
        return 3 if isinstance(err, Damaged) else 4
    for name, data in stream.configs.items():
        print('config %s: %d bytes' % (name, len(data)))
    for dev in stream.devices.values():
        print('device %d %s: %d bytes, %d data and %d zero clusters' %
              (dev.id, dev.name, dev.size, dev.count(DATA), dev.count(ZERO)))
    return 0


if __name__ == '__main__':
    sys.exit(main())
