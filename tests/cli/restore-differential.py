#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What vma-restore accepts and what a second reader accepts is the same.

Archives are made, changed in their fields and as bytes, mostly with checksums
and digests that are right again, and read by both: plain, from a pipe, and
compressed in one frame, in several, and with an index; all of it, and a disk
alone.  What both accept has to have the same bytes everywhere.

ROUNDS is how many (100), SEED the first one's number (1), or "random".
"""
import os
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import mkvma  # noqa: E402
import readvma  # noqa: E402
from mkvma import BLOCK, Entry  # noqa: E402
from readvma import xxh3  # noqa: E402

RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')
ROUNDS = int(os.environ.get('ROUNDS', '100'))
SEED = os.environ.get('SEED', '1')
MARK = b'VMA+XXH3\0\0\0\1\0\0\0\0'
USAGE, DAMAGED, INCOMPLETE = 2, 3, 4
NAMES = [b'drive-scsi0', b'a', b'b', b'vmstate', b'A', b'\xff', b'x/y', b'..',
         b'\xc3\xa9', b'disk%41', b'new\nline', b'n' * 300]
NUMBERS = (0, 1, 2, 16, 58, 59, 60, 255, 256, 511, 512, 4096, 12287, 12288,
           12289, 65535, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
SIZES = (0, 1, 511, 512, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 48,
         (1 << 48) + 1, (1 << 64) - 1)


# An archive that is to be changed: its header, and its extents, each with its
# own header and data.

class Model:
    def __init__(self, header, extents, sealed):
        self.header = header
        self.extents = extents
        self.sealed = sealed        # has digests

    def bytes(self):
        return bytes(self.header) + b''.join(
            bytes(head) + bytes(data) for head, data in self.extents)

    def reseal(self):
        """Digests, numbers and the end mark, as they should be."""
        sums = []
        for i, (head, data) in enumerate(self.extents):
            last = i == len(self.extents) - 1
            digest = xxh3(b''.join(sums) if last else data)
            sums.append(digest)
            spare = struct.pack('>16sBQ', digest, 2 if last else 1, i)
            for k, value in enumerate(spare):
                head[42 + 8 * k] = value

    def resign(self):
        if len(self.header) >= 60:
            self.header[:] = mkvma.signed(self.header, 32)
        for head, _ in self.extents:
            head[:] = mkvma.signed(head, 24)


def make_disk(rng):
    disk = bytearray(rng.choice((0, 512, 4096, 4608, 65536, 66048,
                                 512 * rng.randrange(600))))
    for _ in range(rng.randrange(5)):
        if disk:
            at = rng.randrange(len(disk)) // BLOCK * BLOCK
            count = min(rng.choice((1, BLOCK, 5 * BLOCK)), len(disk) - at)
            disk[at:at + count] = rng.randbytes(count)
    return bytes(disk)


def make_entries(rng, device, name, disk):
    """Of a disk, as different writers do them."""
    entries = mkvma.clusters(disk, device)
    if rng.random() < .3:
        entries = [mkvma.cluster(disk, device, e.number,
                                 full=rng.random() < .5) for e in entries]
    if name != b'vmstate' and disk and rng.random() < .1:
        entries.append(Entry(device, len(entries), 0, b''))
    return entries


def make(rng):
    """A good archive, mostly."""
    names = rng.sample(NAMES, rng.randrange(1, 4))
    ids = rng.sample(range(1, 255), len(names))
    disks = [make_disk(rng) for _ in names]
    configs = [(name, rng.randbytes(rng.randrange(9)))
               for name in rng.sample((b'c.conf', b'.x', b'disk-a.raw', b'C'),
                                      rng.randrange(3))]
    entries = [make_entries(rng, *x) for x in zip(ids, names, disks)]
    if rng.random() < .5 and b'vmstate' not in names:
        order = [e for x in entries for e in x]
        rng.shuffle(order)
    else:
        order = [e for x in entries for e in x]
    sealed = rng.random() < .6
    reserved = MARK + bytes(1984 - len(MARK)) if sealed else bytes(1984)
    header = bytearray(mkvma.header(
        [(i, n, len(d)) for i, n, d in zip(ids, names, disks)], configs,
        reserved=reserved, extra=512 * rng.randrange(2)))
    count = rng.choice((1, 2, 58, 59))
    parts = [order[i:i + count] for i in range(0, len(order), count)]
    if sealed or rng.random() < .1:
        parts.append([])
    extents = []
    for part in parts:
        if len(part) < 59 and rng.random() < .1:
            part.insert(rng.randrange(len(part) + 1),
                        Entry(0, rng.randrange(3), 0, b''))
        data = mkvma.extent(part)
        extents.append((bytearray(data[:512]), bytearray(data[512:])))
    return Model(header, extents, sealed)


# Changes.  Most of them leave an archive that is wrong in one way only.

def put(rng, data, offset, form, values=NUMBERS):
    """A number near the old one, or one that is special, or a flipped bit."""
    size = struct.calcsize(form)
    old, = struct.unpack_from(form, data, offset)
    new = rng.choice((old + 1, old - 1, old ^ 1 << rng.randrange(8 * size),
                      old + 512, rng.choice(values)))
    struct.pack_into(form, data, offset, new % (1 << 8 * size))


def used_slots(header):
    return [i for i in range(256)
            if any(header[4096 + 32 * i:4096 + 32 * i + 16])]


def change_header(rng, model):
    header = model.header
    offset, form = rng.choice((
        (0, '>I'), (4, '>I'), (8, '>Q'), (24, '>Q'), (48, '>I'), (52, '>I'),
        (56, '>I'), (60, '>Q'), (68, '>I'), (72, '>I'), (76, '>Q'),
        (4092, '>I')))
    put(rng, header, offset, form)


def change_table(rng, model):
    header = model.header
    slot = rng.choice(used_slots(header) + [0, 1, 254, 255])
    kind = rng.randrange(5)
    if kind == 0:
        put(rng, header, 4096 + 32 * slot, '>I')
    elif kind == 1:
        put(rng, header, 4096 + 32 * slot + 8, '>Q', SIZES)
    elif kind == 2:
        put(rng, header, 2044 + 4 * rng.randrange(4), '>I')
    elif kind == 3:
        put(rng, header, 3068 + 4 * rng.randrange(4), '>I')
    else:
        other = rng.choice(used_slots(header) + [0, 255])
        a, b = 4096 + 32 * slot, 4096 + 32 * other
        header[a:a + 32], header[b:b + 32] = (header[b:b + 32],
                                              header[a:a + 32])


def change_blobs(rng, model):
    at = rng.randrange(12288, min(len(model.header), 12288 + 80))
    model.header[at] = rng.choice((0, 1, 0xff, 0x2f, 0x0a,
                                   model.header[at] ^ 1 << rng.randrange(8)))


def change_extent(rng, model):
    head, _ = rng.choice(model.extents)
    offset, form = rng.choice(((0, '>I'), (4, '>H'), (6, '>H'), (8, '>Q')))
    put(rng, head, offset, form)


def change_entry(rng, model):
    head, _ = rng.choice(model.extents)
    at = 40 + 8 * rng.choice((0, 1, rng.randrange(59)))
    offset, form = rng.choice(((0, '>H'), (3, '>B'), (4, '>I'), (2, '>B')))
    put(rng, head, at + offset, form)


def swap_entries(rng, model):
    """With their data left where it is."""
    head, _ = rng.choice(model.extents)
    a, b = 40 + 8 * rng.randrange(4), 40 + 8 * rng.randrange(59)
    head[a:a + 8], head[b:b + 8] = head[b:b + 8], head[a:a + 8]


def change_mask(rng, model):
    """With as many blocks as before, or the block count and data to match."""
    head, data = rng.choice(model.extents)
    at = 40 + 8 * rng.choice((0, 1, rng.randrange(59)))
    mask, = struct.unpack_from('>H', head, at)
    new = rng.choice((0, 0xffff, mask >> 1, (mask << 1) & 0xffff,
                      rng.randrange(65536)))
    struct.pack_into('>H', head, at, new)
    count = sum(bin(e[0]).count('1')
                for e in struct.iter_unpack('>HBBI', head[40:]))
    struct.pack_into('>H', head, 6, count)
    if rng.random() < .9:
        data[:] = (data + rng.randbytes(16 * BLOCK))[:BLOCK * count]


def change_order(rng, model):
    extents = model.extents
    at = rng.randrange(len(extents))
    copy = tuple(bytearray(x) for x in extents[at])
    kind = rng.randrange(4)
    if kind == 0:
        del extents[at]
    elif kind == 1:
        extents.insert(rng.randrange(len(extents) + 1), copy)
    elif kind == 2:
        extents.insert(rng.randrange(len(extents)), extents.pop(at))
    else:
        empty = bytearray(mkvma.extent([]))
        extents.insert(at, (empty, bytearray()))


def change_data(rng, model):
    _, data = rng.choice(model.extents)
    if data:
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at // 512 * 512:]
        elif kind == 2:
            data += bytes(rng.choice((1, 512, BLOCK)))
        else:
            data[at // BLOCK * BLOCK:][:BLOCK] = bytes(BLOCK)


def change_spare(rng, model):
    """What digests.md puts into an extent."""
    head, _ = rng.choice(model.extents)
    head[42 + 8 * rng.randrange(26)] ^= 1 << rng.randrange(8)


def change_bytes(rng, data):
    """Of the archive as it stands."""
    data = bytearray(data)
    at = rng.randrange(len(data))
    kind = rng.randrange(5)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        del data[at:at + rng.choice((1, 512, BLOCK))]
    elif kind == 3:
        data[at:at] = rng.randbytes(rng.choice((1, 512)))
    else:
        data += rng.choice((b'\0', b'VMAE', bytes(512), data[-512:]))
    return bytes(data)


CHANGES = [change_header, change_table, change_blobs, change_extent,
           change_entry, swap_entries, change_mask, change_order, change_data]


def make_changed(rng):
    model = make(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 4))):
        if model.extents:
            rng.choice(CHANGES)(rng, model)
    if model.sealed and model.extents and rng.random() < .9:
        model.reseal()
        if rng.random() < .1:
            change_spare(rng, model)
    if rng.random() < .95:
        model.resign()
    data = model.bytes()
    return change_bytes(rng, data) if rng.random() < .15 else data


# What the two readers say

class Differs(Exception):
    pass


def run(*arguments, data=None):
    """Its exit code, and its standard output."""
    done = subprocess.run([RESTORE, *arguments], input=data, check=False,
                          stdin=None if data else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr


def content_of(part):
    return part.content() if isinstance(part, readvma.Disk) else part


def expected_files(archive):
    """{file name: content}; None where two of them would be one file."""
    pairs = [(readvma.disk_file(d), d) for d in archive.disks.values()]
    pairs += [(readvma.config_file(n), data) for n, data in archive.configs]
    files = {name: content_of(part) for name, part in pairs}
    return files if len(files) == len(pairs) else None


def folder_files(folder):
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'rb') as file:
            files[name] = file.read()
    return files


def agree(code, expected, message):
    """
    Which of two kinds of damage is met first depends on the order of reading,
    and two names that would be one file are found before any damage.
    """
    return (code == expected or expected and code in (DAMAGED, INCOMPLETE) or
            expected and code == USAGE and b'would both be' in message)


def check_extract(what, expected, *arguments, data=None):
    """EXPECTED: files, or an exit code."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.fsencode(folder + '/out')
        code, _, message = run('extract', *arguments, out, data=data)
        if isinstance(expected, dict):
            if code or folder_files(out) != expected:
                raise Differs(f'{what}: {code}, {message}')
        elif not agree(code, expected, message):
            raise Differs(f'{what}: {code}, not {expected}, {message}')
        elif os.path.exists(out):
            raise Differs(f'{what}: something is left')


def check_disk(path, disk, archive):
    """Through an index, and by reading what the disk needs."""
    if sum(d.name == disk.name for d in archive.disks.values()) > 1:
        return
    content = disk.content()
    code, out, message = run('extract', '-d', disk.name + b'=-', path)
    if code or out != content:
        raise Differs(f'in order: {disk.name}: {code}, {message}')
    check_extract('picked', {readvma.disk_file(disk): content}, '-d',
                  disk.name, path)


def check_reindexed(path, expected, disk, archive, folder):
    """Of another origin, with an index of our own."""
    indexed = folder + '/y.zst'
    refused = any(d.is_vmstate() for d in archive.disks.values())
    code, _, message = run('reindex', path, indexed)
    if code != (USAGE if refused else 0):
        raise Differs(f'reindex: {code}, {message}')
    if not refused:
        check_extract('reindexed', expected, indexed)
        check_disk(indexed, disk, archive)


def compress(*parts):
    return b''.join(subprocess.run(
        ['zstd', '-qc1'], input=part, stdout=subprocess.PIPE,
        check=True).stdout for part in parts)


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def check(rng, data, folder):
    """Returns whether it is accepted."""
    path, packed = folder + '/x.vma', folder + '/x.zst'
    try:
        archive = readvma.Archive(data)
        files = expected_files(archive)
        verdict, expected = 0, files if files is not None else USAGE
    except readvma.Refused as error:
        archive = None
        verdict = expected = error.code
    write(path, data)
    code, _, message = run('verify', path)
    if not agree(code, verdict, message):
        raise Differs(f'verify: {code}, not {verdict}, {message}')
    check_extract('plain', expected, path)
    check_extract('pipe', expected, '-', data=data)
    at = rng.randrange(len(data))
    write(packed, compress(data) if rng.random() < .5
          else compress(data[:at], data[at:]))
    check_extract('compressed', expected, packed)
    if archive and archive.disks:
        disk = rng.choice(list(archive.disks.values()))
        check_disk(path, disk, archive)
        check_reindexed(packed, expected, disk, archive, folder)
    return archive is not None


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
        sys.exit('the archives are not as various as they should be')


if __name__ == '__main__':
    main()
