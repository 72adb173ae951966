#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the test vectors of wire-format.md into the folder "stream" beside it.

A second, deliberately simple writer of the stream, made from the document and
sharing nothing with the C code.  Each vector is one stream; the file VECTORS
says of each which outcome a consumer must report (ok, damaged, incomplete),
which requirement it is about, and words that our own message holds.
"""
import os
import struct
import uuid
import zlib

CLUSTER = 65536
UUID = uuid.UUID('f81d4fae-7dec-11d0-a765-00a0c91e6bf6').bytes
DATA, ZERO, DEVICE_END, END, ABORT = 1, 2, 3, 4, 5
MASK = (1 << 64) - 1


def xxh64(data):
    """XXH64 with seed 0 of a multiple of 32 bytes, as in wire-format.md."""
    p1, p2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F
    p3, p4 = 0x165667B19E3779F9, 0x85EBCA77C2B2AE63

    def rotl(x, r):
        return ((x << r) | (x >> (64 - r))) & MASK

    def rnd(a, x):
        return rotl((a + x * p2) & MASK, 31) * p1 & MASK

    a = [(p1 + p2) & MASK, p2, 0, -p1 & MASK]
    for o in range(0, len(data), 32):
        for i, x in enumerate(struct.unpack_from('<4Q', data, o)):
            a[i] = rnd(a[i], x)
    h = sum(rotl(x, r) for x, r in zip(a, (1, 7, 12, 18))) & MASK
    for x in a:
        h = ((h ^ rnd(0, x)) * p1 + p4) & MASK
    h = (h + len(data)) & MASK
    h = (h ^ (h >> 33)) * p2 & MASK
    h = (h ^ (h >> 29)) * p3 & MASK
    return h ^ (h >> 32)


def checked(body):
    return body + struct.pack('>I', zlib.crc32(UUID + body))


def padded(body):
    return body + bytes(-len(body) % 8)


def device(dev_id, name, size, reserved=0):
    name = name.encode() if isinstance(name, str) else name
    return padded(struct.pack('>BBHIQ', dev_id, reserved, len(name), 0, size)
                  + name)


def config(name, data):
    return padded(struct.pack('>HHI', len(name), 0, len(data))
                  + name.encode() + data)


def preamble(devices, configs=(), features=0, magic=b'\x89QBS\r\n\x1a\n',
             version=1, cluster=CLUSTER, ns=250000000, size=None, ids=None,
             reserved=bytes(8), extra=b'', uuid_bytes=UUID):
    body = b''.join(devices) + b''.join(configs) + extra + bytes(4)
    if size is None:
        size = 64 + len(body) + 4
    head = magic + struct.pack(
        '>IIIIHHIq', version, size, features, cluster,
        len(devices) if ids is None else ids, len(configs), ns, 1700000000)
    body = head + uuid_bytes + reserved + body
    return body + struct.pack('>I', zlib.crc32(body))


def preamble_tail():
    """The reserved field at the end of the preamble is not zero."""
    data = preamble([device(1, 'a', 512)])[:-5] + b'\1'
    return data + struct.pack('>I', zlib.crc32(data))


def record(kind, dev_id=0, number=0, count=0, payload=b'', hashed=False,
           size=None, hash_value=None, magic=b'QBSr', reserved=0):
    if hash_value is None:
        hash_value = xxh64(payload) if hashed else 0
    if size is None:
        size = len(payload)
    return checked(magic + struct.pack('>BBHQIII', kind, dev_id, reserved,
                                       hash_value, number, count,
                                       size)) + payload


def device_end(dev_id, data, zero, reserved=0):
    return record(DEVICE_END, dev_id,
                  payload=checked(struct.pack('>QQI', data, zero, reserved)))


def end(records, data, zero, nbytes, ns=0):
    return record(END, payload=checked(
        struct.pack('>QQQQqI', records, data, zero, nbytes, 1700000001, ns)))


def abort(reason, message):
    return record(ABORT, payload=checked(struct.pack('>I', reason) + message))


def flip(data, byte, bit=0):
    out = bytearray(data)
    out[byte] ^= 1 << bit
    return bytes(out)


# The worked example of wire-format.md: 66048 bytes are one whole cluster and
# a short one; the clusters come in reverse order.
EX_PRE = preamble([device(1, 'disk0', 66048)],
                  [config('vm.conf', b'cores: 2\n')])
EX_DATA = record(DATA, 1, 1, 1, b'A' * 512)
EX_ZERO = record(ZERO, 1, 0, 1)
EX_DEV = device_end(1, 1, 1)
EX_END = end(3, 1, 1, 512)
EXAMPLE = EX_PRE + EX_DATA + EX_ZERO + EX_DEV + EX_END

HALF = bytes(range(256)) * 2
SMALL = preamble([device(1, 'a', 512)])           # one device of one sector
SECTOR = record(DATA, 1, 0, 1, HALF)
REST = device_end(1, 1, 0) + end(2, 1, 0, 512)


def entry(*args, **kw):
    """The small stream with another preamble."""
    return preamble(*args, **kw) + SECTOR + REST


def body(*records):
    """The small stream with other records."""
    return SMALL + b''.join(records)


A512 = [device(1, 'a', 512)]
TWO = preamble([device(254, 'last', 512), device(1, 'first', 131072 + 512)])

VECTORS = [
    # name, outcome, requirement, words of the message, stream
    ('example', 'ok', 'G1', '', EXAMPLE),
    ('small', 'ok', 'R5', '', SMALL + SECTOR + REST),
    ('any-order', 'ok', 'R6', '', TWO + record(ZERO, 1, 1, 1)
     + record(DATA, 254, 0, 1, HALF) + record(DATA, 1, 2, 1, bytes(512))
     + device_end(254, 1, 0) + record(ZERO, 1, 0, 1) + device_end(1, 1, 2)
     + end(6, 2, 2, 1024)),
    ('run-with-short-end', 'ok', 'R5', '', preamble([device(9, 'x', 66048)])
     + record(DATA, 9, 0, 2, b'\x55' * 66048) + device_end(9, 2, 0)
     + end(2, 2, 0, 66048)),
    ('payload-hash', 'ok', 'F1', '', preamble(A512, features=1)
     + record(DATA, 1, 0, 1, HALF, hashed=True) + REST),
    ('ignorable', 'ok', 'R2', '', body(
        record(200, 7, 5, 9, b'anything', hash_value=3), SECTOR,
        device_end(1, 1, 0), end(3, 1, 0, 512))),
    ('size-0', 'ok', 'P6', '', preamble([device(3, 'none', 0)])
     + device_end(3, 0, 0) + end(1, 0, 0, 0)),
    ('size-max', 'ok', 'P6', '', preamble([device(1, 'big', 1 << 48)])
     + record(ZERO, 1, 0, 0xffffffff) + record(ZERO, 1, 0xffffffff, 1)
     + device_end(1, 0, 1 << 32) + end(3, 0, 1 << 32, 0)),
    ('bytes-after-end', 'ok', 'E6', '', EXAMPLE + b'next'),

    ('abort', 'incomplete', 'E5', 'cancelled by user', body(
        abort(2, b'cancelled by user'))),
    ('abort-unknown-reason', 'incomplete', 'E5', 'lost', body(
        abort(77, b'lost'))),
    ('abort-empty', 'incomplete', 'E5', 'gave up', body(abort(1, b''))),
    ('empty', 'incomplete', 'E5', 'no stream', b''),
    ('no-end', 'incomplete', 'E5', 'before the end record', body(
        SECTOR, device_end(1, 1, 0))),
    ('cut-in-header', 'incomplete', 'E5', 'record header', body(SECTOR[:20])),
    ('cut-in-payload', 'incomplete', 'E5', 'payload', body(SECTOR[:100])),

    ('bad-magic', 'damaged', 'P1', 'not a QEMU backup stream',
     entry(A512, magic=b'\x89QBS\n\x1a\n\n')),
    ('version-2', 'damaged', 'P1', 'version 2', entry(A512, version=2)),
    ('preamble-check', 'damaged', 'G4', 'check', flip(EXAMPLE, 30)),
    ('preamble-too-large', 'damaged', 'P2', 'preamble size', entry(
        A512, size=(17 << 20) + 8)),
    ('preamble-size-odd', 'damaged', 'P2', 'preamble size', entry(
        A512, size=100)),
    ('preamble-slack', 'damaged', 'P2', 'entries', entry(
        A512, extra=bytes(8))),
    ('entry-past-end', 'damaged', 'P2', 'entries', entry(A512, ids=2)),
    ('feature-unknown', 'damaged', 'P3', 'feature', entry(
        A512, features=0x80000000)),
    ('cluster-size', 'damaged', 'P4', 'cluster size', entry(
        A512, cluster=4096)),
    ('no-device', 'damaged', 'P5', 'device count', preamble([])
     + end(0, 0, 0, 0)),
    ('device-255', 'damaged', 'P5', 'device id 255', entry(
        [device(255, 'a', 512)])),
    ('device-0', 'damaged', 'P5', 'device id 0', entry([device(0, 'a', 512)])),
    ('device-id-twice', 'damaged', 'P5', 'device id 1', entry(
        [device(1, 'a', 512), device(1, 'b', 512)])),
    ('device-name-twice', 'damaged', 'P5', 'name', entry(
        [device(1, 'a', 512), device(2, 'a', 512)])),
    ('device-name-empty', 'damaged', 'G3', 'name', entry(
        [device(1, '', 512)])),
    ('device-name-too-long', 'damaged', 'G3', 'name', entry(
        [device(1, 'n' * 256, 512)])),
    ('device-name-newline', 'damaged', 'G3', 'name', entry(
        [device(1, 'a\nb', 512)])),
    ('device-name-latin-1', 'damaged', 'G3', 'name', entry(
        [device(1, b'\xe4', 512)])),
    ('device-size-odd', 'damaged', 'P6', 'size', entry([device(1, 'a', 513)])),
    ('device-too-large', 'damaged', 'P6', 'size', entry(
        [device(1, 'a', (1 << 48) + 512)])),
    ('device-reserved', 'damaged', 'G2', 'reserved', entry(
        [device(1, 'a', 512, reserved=1)])),
    ('config-name-twice', 'damaged', 'P7', 'name', entry(
        A512, [config('c', b''), config('c', b'')])),
    ('config-too-large', 'damaged', 'P7', 'config', entry(
        A512, [config('c', bytes(65536))])),
    ('device-reserved-2', 'damaged', 'G2', 'reserved', entry(
        [A512[0][:7] + b'\1' + A512[0][8:]])),
    ('config-reserved', 'damaged', 'G2', 'reserved', entry(
        A512, [b'\0\1\0\1' + config('c', b'')[4:]])),
    ('config-padding', 'damaged', 'G2', 'padding', entry(
        A512, [config('c', b'')[:-1] + b'\1'])),
    ('preamble-tail', 'damaged', 'G2', 'reserved', preamble_tail()
     + SECTOR + REST),
    ('configs-257', 'damaged', 'P7', 'config count', entry(
        A512, [config('c%u' % i, b'') for i in range(257)])),
    ('padding', 'damaged', 'G2', 'padding', entry(
        [A512[0][:-1] + b'\1'])),
    ('preamble-reserved', 'damaged', 'G2', 'reserved', entry(
        A512, reserved=bytes(7) + b'\1')),
    ('start-ns', 'damaged', 'P8', 'start time', entry(A512, ns=10**9)),
    ('uuid-zero', 'damaged', 'P9', 'uuid', preamble(
        A512, uuid_bytes=bytes(16))),

    ('record-magic', 'damaged', 'R1', 'record', body(
        record(DATA, 1, 0, 1, HALF, magic=b'QBSx'), REST)),
    ('record-check', 'damaged', 'R1', 'check', body(flip(SECTOR, 28), REST)),
    ('record-of-another-stream', 'damaged', 'G4', 'check', body(
        b'QBSr' + SECTOR[4:28] + struct.pack('>I', zlib.crc32(SECTOR[:28]))
        + HALF, REST)),
    ('record-reserved', 'damaged', 'G2', 'reserved', body(
        record(DATA, 1, 0, 1, HALF, reserved=1), REST)),
    ('type-0', 'damaged', 'R2', 'type 0', body(record(0), REST)),
    ('type-6', 'damaged', 'R2', 'type 6', body(record(6), REST)),
    ('ignorable-too-large', 'damaged', 'R2', 'payload', body(
        record(128, size=65537), bytes(65537), REST)),
    ('unknown-device', 'damaged', 'R3', 'device id 2', body(
        record(DATA, 2, 0, 1, HALF), REST)),
    ('end-with-device', 'damaged', 'R3', 'device id', body(
        SECTOR, device_end(1, 1, 0), record(END, 1, payload=REST[-48:]))),
    ('abort-with-device', 'damaged', 'R3', 'device id', body(
        record(ABORT, 1, payload=checked(struct.pack('>I', 2))))),
    ('run-past-end', 'damaged', 'R4', 'beyond', body(
        record(ZERO, 1, 0, 2), REST)),
    ('run-overflow', 'damaged', 'R4', 'beyond', body(
        record(ZERO, 1, 0xffffffff, 0xffffffff), REST)),
    ('run-empty', 'damaged', 'R4', 'cluster count', body(
        record(ZERO, 1, 0, 0), REST)),
    ('run-too-long', 'damaged', 'R5', 'cluster count', preamble(
        [device(1, 'a', 65 * CLUSTER)])
     + record(DATA, 1, 0, 65, size=65 * CLUSTER)),
    ('payload-short', 'damaged', 'R5', 'payload', body(
        record(DATA, 1, 0, 1, HALF[:256]), REST)),
    ('payload-padded', 'damaged', 'R5', 'payload', body(
        record(DATA, 1, 0, 1, HALF + HALF), REST)),
    ('zero-with-payload', 'damaged', 'R5', 'payload', body(
        record(ZERO, 1, 0, 1, HALF), REST)),
    ('cluster-twice', 'damaged', 'R6', 'second time', body(
        SECTOR, record(ZERO, 1, 0, 1), REST)),
    ('hash-without-feature', 'damaged', 'F1', 'hash', body(
        record(DATA, 1, 0, 1, HALF, hashed=True), REST)),
    ('hash-differs', 'damaged', 'F1', 'hash', preamble(A512, features=1)
     + record(DATA, 1, 0, 1, HALF, hash_value=1) + REST),
    ('hash-on-zero', 'damaged', 'F1', 'hash', preamble(A512, features=1)
     + record(ZERO, 1, 0, 1, hash_value=1) + REST),
    ('record-after-device-end', 'damaged', 'E1', 'after its end', TWO
     + record(DATA, 254, 0, 1, HALF) + device_end(254, 1, 0)
     + record(ZERO, 254, 0, 1)),
    ('device-end-twice', 'damaged', 'E1', 'after its end', body(
        SECTOR, device_end(1, 1, 0), device_end(1, 1, 0))),
    ('device-end-with-run', 'damaged', 'R8', 'cluster', body(
        SECTOR, record(DEVICE_END, 1, 0, 1, checked(
            struct.pack('>QQI', 1, 0, 0))))),
    ('device-end-with-number', 'damaged', 'R8', 'cluster', body(
        SECTOR, record(DEVICE_END, 1, 1, 0, checked(
            struct.pack('>QQI', 1, 0, 0))))),
    ('device-end-size', 'damaged', 'R8', 'payload', body(
        SECTOR, record(DEVICE_END, 1, payload=bytes(16)))),
    ('device-end-check', 'damaged', 'G4', 'check', body(
        SECTOR, flip(device_end(1, 1, 0), 40))),
    ('device-end-reserved', 'damaged', 'G2', 'reserved', body(
        SECTOR, device_end(1, 1, 0, 1))),
    ('cluster-missing', 'damaged', 'E3', 'missing', TWO
     + record(ZERO, 1, 0, 2) + device_end(1, 0, 2)),
    ('device-totals', 'damaged', 'E3', 'totals', body(
        SECTOR, device_end(1, 0, 1))),
    ('device-data-clusters', 'damaged', 'E3', 'totals', body(
        SECTOR, device_end(1, 2, 0))),
    ('device-zero-clusters', 'damaged', 'E3', 'totals', body(
        SECTOR, device_end(1, 1, 1))),
    ('end-data-clusters', 'damaged', 'E3', 'totals', body(
        SECTOR, device_end(1, 1, 0), end(2, 2, 0, 512))),
    ('end-zero-clusters', 'damaged', 'E3', 'totals', body(
        SECTOR, device_end(1, 1, 0), end(2, 1, 1, 512))),
    ('end-early', 'damaged', 'E3', 'not ended', body(
        SECTOR, end(1, 1, 0, 512))),
    ('end-records', 'damaged', 'E3', 'totals', body(
        SECTOR, device_end(1, 1, 0), end(3, 1, 0, 512))),
    ('end-bytes', 'damaged', 'E3', 'totals', body(
        SECTOR, device_end(1, 1, 0), end(2, 1, 0, 513))),
    ('end-ns', 'damaged', 'E3', 'end time', body(
        SECTOR, device_end(1, 1, 0), end(2, 1, 0, 512, 10**9))),
    ('end-check', 'damaged', 'G4', 'check', flip(SMALL + SECTOR + REST, -9)),
    ('abort-too-long', 'damaged', 'R8', 'payload', body(
        record(ABORT, size=1033), bytes(1033))),
    ('abort-check', 'damaged', 'G4', 'check', flip(
        body(abort(2, b'cancelled')), -9)),
    ('abort-message', 'damaged', 'G3', 'message', body(
        abort(4, b'a\x1b[31m'))),
]


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'stream')
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        os.unlink(os.path.join(folder, old))
    with open(os.path.join(folder, 'VECTORS'), 'w', encoding='utf-8') as out:
        out.write('# name\toutcome\trequirement\twords of the message\n')
        for name, outcome, req, words, stream in VECTORS:
            with open(os.path.join(folder, name + '.qbs'), 'wb') as vec:
                vec.write(stream)
            out.write('\t'.join((name, outcome, req, words)) + '\n')


if __name__ == '__main__':
    main()
