#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Reads a backup stream and holds it to every requirement on a producer.

It was written from wire-format.md alone and shares no code with the programs
under test.  As a program:

  qbs.py [DIR] < STREAM

It prints what the stream consists of, a line each, and writes disks and configs
to DIR.  The exit code is 3 if the stream is damaged and 4 if it is incomplete.
"""
import os
import struct
import sys
import zlib

CLUSTER = 65536
PAYLOAD_HASH, ANSWER = 1, 2
DATA, ZERO, DEVICE_END, END, ABORT = 1, 2, 3, 4, 5
KINDS = {DATA: 'data', ZERO: 'zero'}


class Damaged(Exception):
    """A requirement is violated."""


class Incomplete(Exception):
    """The stream ends early."""


class Aborted(Incomplete):
    """The producer gave up and said so."""

    def __init__(self, reason, message):
        super().__init__('aborted, reason %d: %s' % (reason, message))
        self.reason = reason
        self.message = message


def require(condition, requirement):
    if not condition:
        raise Damaged('[%s] is violated' % requirement)


def text_of(data):
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        raise Damaged('[G3] is violated') from None
    require(all(ord(c) >= 0x20 and ord(c) != 0x7f for c in text), 'G3')
    return text


def name_of(data):
    require(1 <= len(data) <= 255, 'G3')
    return text_of(data)


P1, P2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F
P3, P4 = 0x165667B19E3779F9, 0x85EBCA77C2B2AE63
MASK = (1 << 64) - 1


def rotl(x, n):
    return (x << n | x >> (64 - n)) & MASK


def xxh64(data):
    """Section 9; for a multiple of 32 bytes."""
    lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
    words = struct.unpack('<%dQ' % (len(data) // 8), data)
    for i in range(4):
        a = lanes[i]
        for x in words[i::4]:
            a = (a + x * P2) & MASK
            a = ((a << 31 | a >> 33) & MASK) * P1 & MASK
        lanes[i] = a
    h = sum(rotl(a, n) for a, n in zip(lanes, (1, 7, 12, 18))) & MASK
    for a in lanes:
        h = ((h ^ rotl(a * P2 & MASK, 31) * P1 & MASK) * P1 + P4) & MASK
    h = (h + len(data)) & MASK
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32


class Device:
    def __init__(self, number, name, size):
        self.id = number
        self.name = name
        self.size = size
        self.kinds = bytearray(-(-size // CLUSTER))     # 0: not yet seen
        self.ended = False

    def run_bytes(self, first, count):
        return min(count * CLUSTER, self.size - first * CLUSTER)


class Reader:
    """
    SOURCE has read().  ON_DATA, if any, is called with device, offset and data
    of every DATA record.
    """

    def __init__(self, source, on_data=None):
        self._source = source
        self._on_data = on_data
        self._data_bytes = 0
        self.devices = {}       # by id
        self.configs = {}       # data by name
        self.records = []       # (type, device id, first cluster, count)

    def _take(self, size):
        data = bytearray()
        while len(data) < size:
            piece = self._source.read(size - len(data))
            if not piece:
                raise Incomplete('the stream ends early')
            data += piece
        return bytes(data)

    def _verify_check(self, data):
        check = zlib.crc32(self.uuid + data[:-4])
        require(data[-4:] == struct.pack('>I', check), 'G4')

    def read_preamble(self):
        start = self._take(64)
        (magic, version, size, self.features, cluster, devices, configs, ns, s,
         self.uuid, reserved) = struct.unpack('>8sIIIIHHIq16s8s', start)
        require(magic == b'\x89QBS\r\n\x1a\n' and version == 1, 'P1')
        require(size % 8 == 0 and 72 <= size <= 17 << 20, 'P2')
        rest = self._take(size - 64)
        require(rest[-4:] == struct.pack('>I', zlib.crc32(start + rest[:-4])),
                'G4')
        require(not any(reserved) and not any(rest[-8:-4]), 'G2')
        require(not self.features & ~(PAYLOAD_HASH | ANSWER), 'P3')
        require(cluster == CLUSTER, 'P4')
        require(1 <= devices <= 254, 'P5')
        require(configs <= 256, 'P7')
        require(ns <= 999999999, 'P8')
        require(any(self.uuid), 'P9')
        self.start_time_ns = s * 10 ** 9 + ns
        left = rest[:-8]
        for _ in range(devices):
            left = self._read_device(left)
        for _ in range(configs):
            left = self._read_config(left)
        require(not left, 'P2')

    @staticmethod
    def _split(data, *sizes):
        """The parts, then what is behind them and their padding."""
        parts = []
        used = 0
        for size in sizes + (-sum(sizes) % 8,):
            require(used + size <= len(data), 'P2')
            parts.append(data[used:used + size])
            used += size
        require(not any(parts.pop()), 'G2')
        return parts + [data[used:]]

    def _read_device(self, left):
        require(len(left) >= 16, 'P2')
        number, pad1, name_bytes, pad2, size = struct.unpack('>BBHIQ',
                                                             left[:16])
        _, name, left = self._split(left, 16, name_bytes)
        name = name_of(name)
        require(not pad1 and not pad2, 'G2')
        require(1 <= number <= 254 and number not in self.devices, 'P5')
        require(name not in [d.name for d in self.devices.values()], 'P5')
        require(size % 512 == 0 and size <= 1 << 48, 'P6')
        self.devices[number] = Device(number, name, size)
        return left

    def _read_config(self, left):
        require(len(left) >= 8, 'P2')
        name_bytes, pad, data_bytes = struct.unpack('>HHI', left[:8])
        require(data_bytes <= 65535, 'P7')
        _, name, data, left = self._split(left, 8, name_bytes, data_bytes)
        name = name_of(name)
        require(not pad, 'G2')
        require(name not in self.configs, 'P7')
        self.configs[name] = data
        return left

    def read_record(self):
        header = self._take(32)
        magic, kind, number, pad, hashed, first, count, size, _ = \
            struct.unpack('>4sBBHQIIII', header)
        require(magic == b'QBSr', 'R1')
        self._verify_check(header)
        if kind >= 128:
            require(size <= 65536, 'R2')
            self._take(size)
            self.records.append((kind, number, first, count))
            return kind
        require(1 <= kind <= 5, 'R2')
        require(not pad, 'G2')
        require(not hashed or kind == DATA and self.features & PAYLOAD_HASH,
                'F1')
        if kind in KINDS:
            self._read_run(kind, self._open_device(number), hashed, first,
                           count, size)
        else:
            require(not first and not count, 'R8')
            if kind == DEVICE_END:
                self._read_device_end(self._open_device(number), size)
            else:
                require(number == 0, 'R3')
                (self._read_end if kind == END else self._read_abort)(size)
        self.records.append((kind, number, first, count))
        return kind

    def _open_device(self, number):
        require(number in self.devices, 'R3')
        require(not self.devices[number].ended, 'E1')
        return self.devices[number]

    def _read_run(self, kind, device, hashed, first, count, size):
        require(count >= 1 and first + count <= len(device.kinds), 'R4')
        require(not any(device.kinds[first:first + count]), 'R6')
        device.kinds[first:first + count] = bytes([kind]) * count
        if kind == ZERO:
            require(size == 0, 'R5')
            return
        require(count <= 64 and size == device.run_bytes(first, count), 'R5')
        data = self._take(size)
        if self.features & PAYLOAD_HASH:
            require(xxh64(data) == hashed, 'F1')
        self._data_bytes += size
        if self._on_data:
            self._on_data(device, first * CLUSTER, data)

    def _read_device_end(self, device, size):
        require(size == 24, 'R8')
        payload = self._take(size)
        self._verify_check(payload)
        data, zero, pad, _ = struct.unpack('>QQII', payload)
        require(not pad, 'G2')
        require((0, data, zero) ==
                tuple(device.kinds.count(k) for k in (0, DATA, ZERO)), 'E3')
        device.ended = True

    def _read_end(self, size):
        require(size == 48, 'R8')
        payload = self._take(size)
        self._verify_check(payload)
        records, data, zero, data_bytes, s, ns, _ = struct.unpack('>QQQQqII',
                                                                  payload)
        devices = self.devices.values()
        require(all(d.ended for d in devices), 'E2')
        require(ns <= 999999999, 'E3')
        require((records, data, zero, data_bytes) == (
            len(self.records), sum(d.kinds.count(DATA) for d in devices),
            sum(d.kinds.count(ZERO) for d in devices), self._data_bytes), 'E3')
        self.end_time_ns = s * 10 ** 9 + ns

    def _read_abort(self, size):
        require(8 <= size <= 1032, 'R8')
        payload = self._take(size)
        self._verify_check(payload)
        raise Aborted(struct.unpack('>I', payload[:4])[0],
                      text_of(payload[4:-4]))

    def read_records(self):
        """All of them, and [E6] that nothing follows."""
        while self.read_record() != END:
            pass
        require(not self._source.read(1), 'E6')


def write_file(folder, name, data):
    with open(os.path.join(folder, os.path.basename(name)), 'wb') as file:
        file.write(data)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    files = {}

    def on_data(device, offset, data):
        files[device.id].seek(offset)
        files[device.id].write(data)

    reader = Reader(sys.stdin.buffer, on_data if folder else None)
    code = 0
    try:
        reader.read_preamble()
        print('features', reader.features)
        for device in reader.devices.values():
            print('device', device.id, device.size, device.name)
            if folder:
                file = open(os.path.join(folder,
                                         os.path.basename(device.name)), 'wb')
                file.truncate(device.size)
                files[device.id] = file
        for name, data in reader.configs.items():
            print('config', len(data), name)
            if folder:
                write_file(folder, name, data)
        reader.read_records()
    except Damaged as error:
        code = 3
        print('qbs.py: damaged:', error, file=sys.stderr)
    except Incomplete as error:
        code = 4
        print('qbs.py: incomplete:', error, file=sys.stderr)
    for kind, number, first, count in reader.records:
        if kind in KINDS:
            print(KINDS[kind], number, first, count)
    for file in files.values():
        file.close()
    return code


if __name__ == '__main__':
    sys.exit(main())
