#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What vma-sink accepts and what a second reader accepts is the same.

Streams are made, changed in their fields, their order and as bytes, mostly with
checks, hashes and totals that are right again, and read by both: from a file, a
pipe and a socket, ahead or not, into an archive, a compressed one and a folder.
What both accept has the same disks and configurations, byte for byte; what is
refused has the same exit code and leaves nothing.

ROUNDS is how many (100), SEED the first one's number (1), or "random".
"""
import io
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

ROUNDS = int(os.environ.get('ROUNDS', '100'))
SEED = os.environ.get('SEED', '1')

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import qbs  # noqa: E402
import readvma  # noqa: E402
from programs import DAMAGED, FAILED, INCOMPLETE, SINK, read  # noqa: E402
from random_streams import stream  # noqa: E402

NAMES = ['drive-scsi0', 'a', 'b', 'A', 'x/y', '..', 'é', 'disk%41', 'n' * 255]
ODD_NAMES = [b'', b'new\nline', b'\xff', b'\x7f', b'\xed\xa0\x80', b'n' * 256,
             b'vmstate', b'a\0b', b'\xc2\x85', b'a', b' ']
NUMBERS = (0, 1, 2, 63, 64, 65, 127, 128, 253, 254, 255, 256, 257, 65535, 65536,
           (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 48, (1 << 64) - 1)
# No valid one is so large that a reader in Python can't have it in memory.
SIZES = (0, 1, 511, 512, 513, 65024, 65536, 66048, (1 << 48) + 512,
         (1 << 64) - 512)


# A stream that is to be changed: its preamble as fields, and its records, each
# a header without its check and a payload.

class Model:
    def __init__(self, preamble, devices, configs, records):
        self.preamble = preamble        # 64 bytes
        self.devices = devices          # [id, name, size, pads] of each
        self.configs = configs          # [name, data, pad]
        self.records = records          # [header of 28 bytes, payload]
        self.extra = b''                # behind the entries

    def entries(self):
        out = b''
        for number, name, size, pad1, pad2 in self.devices:
            out += stream.padded(struct.pack('>BBHIQ', number, pad1, len(name),
                                             pad2, size) + name)
        for name, data, pad in self.configs:
            out += stream.padded(struct.pack('>HHI', len(name), pad, len(data))
                                 + name + data)
        return out + self.extra + bytes(4)

    def count_entries(self):
        """The preamble says how many there are, and its own size"""
        struct.pack_into('>I', self.preamble, 12, 64 + len(self.entries()) + 4)
        struct.pack_into('>HH', self.preamble, 24, len(self.devices),
                         len(self.configs))

    def hash(self):
        hashed = self.preamble[19] & 1
        for header, payload in self.records:
            if header[4] == stream.DATA and len(payload) % 32 == 0:
                struct.pack_into('>Q', header, 8, stream.xxh64(payload)
                                 if hashed else 0)

    def count_records(self):
        """Totals of what is there, in payloads that have the room"""
        seen, count, nbytes = {}, 0, 0
        for header, payload in self.records:
            kind, number = header[4], header[5]
            clusters, = struct.unpack_from('>I', header, 20)
            data, zero = seen.setdefault(number, [0, 0])
            if kind == stream.DATA:
                seen[number][0] = data + clusters
                nbytes += len(payload)
            elif kind == stream.ZERO:
                seen[number][1] = zero + clusters
            elif kind == stream.DEVICE_END and len(payload) == 20:
                struct.pack_into('>QQ', payload, 0, data, zero)
            elif kind == stream.END and len(payload) == 44:
                struct.pack_into('>QQQQ', payload, 0, count,
                                 sum(s[0] for s in seen.values()),
                                 sum(s[1] for s in seen.values()), nbytes)
            count += 1

    def bytes(self, signed):
        uuid = bytes(self.preamble[40:56])
        body = bytes(self.preamble) + self.entries()
        out = [body + struct.pack('>I', zlib.crc32(body) ^ (not signed))]
        for header, payload in self.records:
            payload = bytes(payload)
            if header[4] in (stream.DEVICE_END, stream.END, stream.ABORT):
                payload += struct.pack('>I', zlib.crc32(uuid + payload))
            out += [bytes(header), struct.pack('>I', zlib.crc32(uuid + header)),
                    payload]
        return b''.join(out)


def new_record(kind, number=0, first=0, count=0, payload=b''):
    checked = kind in (stream.DEVICE_END, stream.END, stream.ABORT)
    return [bytearray(b'QBSr' + struct.pack('>BBHQIII', kind, number, 0, 0,
                                            first, count, len(payload) +
                                            4 * checked)), bytearray(payload)]


def make_disk(rng):
    disk = bytearray(rng.choice((0, 512, 4096, 65536, 66048, 131072,
                                 512 * rng.randrange(600))))
    for _ in range(rng.randrange(5)):
        if disk:
            at = rng.randrange(len(disk))
            count = min(rng.choice((1, 4096, 70000)), len(disk) - at)
            disk[at:at + count] = rng.randbytes(count)
    return bytes(disk)


def runs_of(rng, number, disk):
    """Records that have each cluster of it once"""
    clusters, first = -(-len(disk) // 65536), 0
    while first < clusters:
        # (65 are too many of data.)
        count = min(rng.choice((1, 1, 2, 64, 65)), clusters - first)
        part = disk[first * 65536:(first + count) * 65536]
        if not any(part) and rng.random() < 0.8:
            yield new_record(stream.ZERO, number, first, count)
        else:
            yield new_record(stream.DATA, number, first, count, part)
        first += count


def make(rng):
    """A good stream, mostly"""
    names = rng.sample(NAMES, rng.randrange(1, 4))
    disks = [make_disk(rng) for _ in names]
    large = rng.random() < 0.1
    if large:
        disks[0] = b'x' * (rng.choice((64, 65, 66)) * 65536 -
                           rng.choice((0, 512)))
    devices = [[number, name.encode(), len(disk), 0, 0, disk] for number, name,
               disk in zip(rng.sample(range(1, 255), len(names)), names,
                           disks)]
    records = []
    for number, *_, disk in devices:
        runs = list(runs_of(rng, number, disk))
        if rng.random() < 0.5:
            rng.shuffle(runs)
        records += runs
        if rng.random() < 0.5:
            records.append(new_record(stream.DEVICE_END, number,
                                      payload=bytes(20)))
    done = {header[5] for header, _ in records
            if header[4] == stream.DEVICE_END}
    records += [new_record(stream.DEVICE_END, d[0], payload=bytes(20))
                for d in devices if d[0] not in done]
    records.append(new_record(stream.END, payload=struct.pack(
        '>QQQQqI', 0, 0, 0, 0, 1700000001, rng.randrange(10 ** 9))))
    preamble = bytearray(b'\x89QBS\r\n\x1a\n' + struct.pack(
        '>IIIIHHIq16s8x', 1, 0, rng.randrange(2) and not large, 65536, 0, 0, 250000000,
        1700000000, stream.UUID))
    configs = [[name, rng.randbytes(rng.randrange(30)), 0] for name in
               rng.sample((b'c.conf', b'.x', b'disk-a.raw', b'C', b'c'),
                          rng.randrange(3))]
    model = Model(preamble, [d[:5] for d in devices], configs, records)
    model.count_entries()
    return model


# Changes.  Most of them leave a stream that is wrong in one way only, or right.

def near(rng, old, bits, values=NUMBERS):
    return rng.choice((old + 1, old - 1, old ^ 1 << rng.randrange(bits),
                       rng.choice(values))) % (1 << bits)


def put(rng, data, offset, form):
    size = struct.calcsize(form)
    old, = struct.unpack_from(form, data, offset)
    struct.pack_into(form, data, offset, near(rng, old, 8 * size))


def change_preamble(rng, model):
    put(rng, model.preamble, *rng.choice((
        (0, '>Q'), (8, '>I'), (12, '>I'), (16, '>I'), (20, '>I'), (24, '>H'),
        (26, '>H'), (28, '>I'), (32, '>Q'), (40, '>Q'), (56, '>Q'))))


def change_device(rng, model):
    device = rng.choice(model.devices)
    kind = rng.randrange(6)
    if kind == 0:
        device[0] = near(rng, device[0], 8)
    elif kind == 1:
        device[1] = rng.choice(ODD_NAMES + [d[1] for d in model.devices])
    elif kind == 2:
        device[2] = rng.choice((device[2] + 512, max(0, device[2] - 512),
                                *SIZES))
    elif kind == 3:
        device[rng.choice((3, 4))] = 1
    elif kind == 4:
        model.devices.append(list(rng.choice(model.devices)))
        model.devices[-1][0] = rng.randrange(256)
        model.devices[-1][1] += b'2'
    else:
        model.devices.remove(device)
    if kind >= 4 or rng.random() < 0.8:
        model.count_entries()


def change_config(rng, model):
    kind = rng.randrange(4)
    if kind == 0 or not model.configs:
        count = rng.choice((1, 2, 255, 256, 257))
        model.configs = [[b'%d' % i, b'', 0] for i in range(count)]
    elif kind == 1:
        rng.choice(model.configs)[0] = rng.choice(
            ODD_NAMES + [c[0] for c in model.configs])
    elif kind == 2:
        rng.choice(model.configs)[1] = bytes(rng.choice((0, 1, 65535, 65536)))
    else:
        rng.choice(model.configs)[2] = 1
    if rng.random() < 0.9:
        model.count_entries()


def change_extra(rng, model):
    """Behind the entries, and as a part of one"""
    model.extra = bytes(rng.choice((1, 4, 8, 4096)))
    if rng.random() < 0.7:
        struct.pack_into('>I', model.preamble, 12,
                         64 + len(model.entries()) + 4)


def change_record(rng, model):
    header, _ = rng.choice(model.records)
    put(rng, header, *rng.choice((
        (0, '>I'), (4, '>B'), (4, '>B'), (5, '>B'), (6, '>H'), (8, '>Q'),
        (16, '>I'), (16, '>I'), (20, '>I'), (20, '>I'), (24, '>I'))))


def change_payload(rng, model):
    """Another length; with the header to match, mostly"""
    header, payload = rng.choice(model.records)
    count = rng.choice((0, 1, 512, 65536, len(payload) + 1,
                        max(0, len(payload) - 512), len(payload) + 512))
    payload[:] = (payload + bytes(count))[:count]
    if rng.random() < 0.8:
        checked = header[4] in (stream.DEVICE_END, stream.END, stream.ABORT)
        struct.pack_into('>I', header, 24, count + 4 * checked)


def change_data(rng, model):
    _, payload = rng.choice(model.records)
    if payload:
        payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)


def change_order(rng, model):
    records = model.records
    at = rng.randrange(len(records))
    kind = rng.randrange(4)
    if kind == 0:
        del records[at]
    elif kind == 1:
        records.insert(rng.randrange(len(records) + 1),
                       [bytearray(x) for x in records[at]])
    elif kind == 2:
        records.insert(rng.randrange(len(records)), records.pop(at))
    else:
        other = rng.randrange(len(records))
        records[at], records[other] = records[other], records[at]


def change_kind(rng, model):
    """Zeroes as data, data as zeroes, a run in two"""
    runs = [r for r in model.records if r[0][4] in (stream.DATA, stream.ZERO)]
    if not runs:
        return
    record = rng.choice(runs)
    header, payload = record
    first, count = struct.unpack_from('>II', header, 16)
    at = model.records.index(record)
    if count > 1 and rng.random() < 0.5:
        half = rng.randrange(1, count)
        model.records[at:at + 1] = [
            new_record(header[4], header[5], first, half,
                       payload[:half * 65536]),
            new_record(header[4], header[5], first + half, count - half,
                       payload[half * 65536:])]
    elif header[4] == stream.DATA:
        model.records[at] = new_record(stream.ZERO, header[5], first, count)
    else:
        sizes = {d[0]: d[2] for d in model.devices}
        size = max(0, min(count * 65536,
                          sizes.get(header[5], 0) - first * 65536))
        model.records[at] = new_record(stream.DATA, header[5], first, count,
                                       bytes(min(size, 1 << 22)))


def add_record(rng, model):
    """One that is passed over, one that gives up, one that nobody knows"""
    kind = rng.choice((128, 200, 255, stream.ABORT, stream.ABORT, 0, 6, 127))
    payload = rng.randbytes(rng.choice((0, 1, 4, 20)))
    if kind == stream.ABORT:
        payload = struct.pack('>I', rng.randrange(7)) + rng.choice(
            (b'', b'no room', b'\xff', b'a\nb', bytes(5), b'x' * 1024,
             b'x' * 1025))
    elif kind >= 128 and rng.random() < 0.3:
        payload = bytes(rng.choice((65535, 65536, 65537)))
    record = new_record(kind, 0, payload=payload)
    if kind >= 128:
        record[0][5:24] = rng.randbytes(19)
    model.records.insert(rng.randrange(len(model.records) + 1), record)


def change_bytes(rng, data):
    """Of the stream as it stands"""
    data = bytearray(data)
    at = rng.randrange(len(data))
    kind = rng.randrange(5)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        del data[at:at + rng.choice((1, 32, 4096))]
    elif kind == 3:
        data[at:at] = rng.randbytes(rng.choice((1, 32)))
    else:
        data += rng.choice((b'\0', b'QBSr', bytes(32)))
    return bytes(data)


CHANGES = [change_preamble, change_device, change_config, change_extra,
           change_record, change_record, change_payload, change_data,
           change_order, change_order, change_kind, change_kind, add_record]


def make_changed(rng):
    model = make(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 4))):
        if model.records and model.devices:
            rng.choice(CHANGES)(rng, model)
    if rng.random() < 0.9:
        model.hash()
    if rng.random() < 0.9:
        model.count_records()
    data = model.bytes(rng.random() < 0.97)
    return change_bytes(rng, data) if rng.random() < 0.15 else data


# What the two readers say

class Differs(Exception):
    pass


class Expected:
    """By the second reader: code, and what is in the stream"""

    def __init__(self, data):
        self.disks = {}
        self.code = 0
        self.why = ''
        reader = qbs.Reader(io.BytesIO(data), self._take)
        try:
            reader.read_preamble()
            self.disks = {d.id: bytearray(d.size)
                          for d in reader.devices.values()}
            while reader.read_record() != qbs.END:
                pass
        except qbs.Damaged as error:
            self.code, self.why = DAMAGED, str(error)
        except qbs.Incomplete as error:
            self.code, self.why = INCOMPLETE, str(error)
        self.names = {d.id: d.name.encode() for d in reader.devices.values()}
        self.configs = {name.encode(): data
                        for name, data in reader.configs.items()}
        self.wants_answer = bool(getattr(reader, 'features', 0) & qbs.ANSWER)

    def _take(self, device, offset, data):
        self.disks[device.id][offset:offset + len(data)] = data

    def by_name(self):
        return {self.names[i]: bytes(d) for i, d in self.disks.items()}


def feed(rng, data, argv, folder):
    """Runs it with the stream as its input: code, message, answer"""
    how = rng.choice(('file', 'pipe', 'socket'))
    answer = b''
    with open(folder + '/err', 'w+b') as err:
        if how == 'file':
            with open(folder + '/stream', 'w+b') as file:
                file.write(data)
                file.seek(0)
                code = subprocess.run(argv, stdin=file, stderr=err,
                                      check=False).returncode
        elif how == 'pipe':
            code = subprocess.run(argv, input=data, stderr=err,
                                  check=False).returncode
        else:
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    process = subprocess.Popen(argv, stdin=theirs, stderr=err)
                writer = threading.Thread(target=send_all, args=(ours, data))
                writer.start()
                answer = receive_all(ours)
                code = process.wait()
                writer.join()
        err.seek(0)
        return how, code, err.read(), answer


def send_all(sock, data):
    try:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def receive_all(sock):
    out = b''
    try:
        while piece := sock.recv(4096):
            out += piece
    except ConnectionResetError:
        pass
    return out


def check_answer(code, answer, wanted):
    """Status 0 if it is stored, 1 if not; none if nobody asked"""
    status = struct.unpack_from('>4sI', answer)[1] if len(answer) > 8 else None
    if not wanted:
        return not answer
    return status == (0 if code == 0 else 1) or (code and not answer)


def check_archive(path, expected):
    data = read(path)
    if path.endswith('.zst'):
        data = subprocess.run(['zstd', '-dcq', path], check=True,
                              stdout=subprocess.PIPE).stdout
    archive = readvma.Archive(data)
    disks = {d.name: d.content() for d in archive.disks.values()}
    # The table of an archive has no devices of no size.
    wanted = expected.by_name()
    return ({n: d for n, d in disks.items() if d} ==
            {n: d for n, d in wanted.items() if d} and
            set(disks) <= set(wanted) and
            dict(archive.configs) == expected.configs)


def check_folder(path, expected):
    wanted = {readvma.disk_file(readvma.Disk(name, len(disk))): disk
              for name, disk in expected.by_name().items()}
    wanted.update({readvma.config_file(name): data
                   for name, data in expected.configs.items()})
    return wanted == {name: read(os.path.join(os.fsencode(path), name))
                      for name in os.listdir(os.fsencode(path))}


# What is right as a stream, and can't be what it is to be.
UNFIT = (b'would both be', b"'vmstate'", b'too large for', b'no archive')


def check(rng, data, folder):
    """Returns whether it is accepted"""
    expected = Expected(data)
    name, *options = rng.choice((
        ('x.vma',), ('x.vma.zst', '--compress=zstd:1'),
        ('x.vma.zst', '--compress=zstd:1', '--frame-size=1', '-T', '2'),
        ('x', '--format=raw')))
    if rng.random() < 0.3:
        options += ['--buffer=1M']
    path = folder + '/' + name
    how, code, said, answer = feed(rng, data, [SINK, *options, '-o', path],
                                   folder)
    text = (f'{how}, {name} {options}: exit code {code}, {said}; second '
            f'reader: {expected.code} {expected.why}')
    left = set(os.listdir(folder)) - {'stream', 'err'}
    if left != ({name} if code == 0 else set()):
        raise Differs(f'{text}: there is {left}')
    if expected.wants_answer and how != 'socket':
        # [A3] It is refused at once, whatever comes.
        if code == 0:
            raise Differs(text)
        return False
    if how == 'socket' and not check_answer(code, answer,
                                            expected.wants_answer):
        raise Differs(f'{text}: answer {answer}')
    if code == FAILED and any(words in said for words in UNFIT):
        return False
    if code != expected.code:
        raise Differs(text)
    if code == 0 and not (check_folder if name == 'x' else
                          check_archive)(path, expected):
        raise Differs(f'{text}: another content')
    return code == 0


def main():
    first = (random.SystemRandom().randrange(1 << 32) if SEED == 'random'
             else int(SEED))
    accepted = 0
    for seed in range(first, first + ROUNDS):
        rng = random.Random(seed)
        data = make_changed(rng)
        with tempfile.TemporaryDirectory() as folder:
            try:
                accepted += check(rng, data, folder)
            except Exception as error:
                print(f'SEED={seed} ROUNDS=1: {error!r}')
                raise
    print(f'{accepted} of {ROUNDS} accepted by both')
    # Else the changes are too rough to be worth much, or too few.
    if ROUNDS >= 100 and not ROUNDS / 5 < accepted < ROUNDS * 4 / 5:
        sys.exit('the streams are not as various as they should be')


if __name__ == '__main__':
    main()
