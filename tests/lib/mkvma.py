#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Writes VMA archives, regular ones and odd ones.

It was written from the format's description and shares no code with the
programs under test.  As a program it makes a regular archive:

  mkvma.py OUT [-c NAME=FILE]... [-n PER-EXTENT] [-s SEED] DISK=IMAGE...

-s shuffles the clusters of all disks.  "mkvma.py --image OUT BYTES SEED" makes
an image with data and zeroes.  As a module, header() and extent() give bytes in
which a test can put everything at the wrong place.
"""
import argparse
import hashlib
import random
import struct
import sys
from collections import namedtuple

UUID = bytes(range(0x10, 0x20))
CTIME = 1700000000
HEADER = 12288
BLOCK = 4096
CLUSTER = 65536
PER_EXTENT = 58
ZEROES = bytes(BLOCK)

# data: the stored blocks of the mask, each of 4096 bytes
Entry = namedtuple('Entry', 'device number mask data')
UNUSED = Entry(0, 0, 0, b'')


def signed(data, offset):
    """The same bytes with their MD5 at OFFSET, taken while it is zero."""
    data = bytearray(data)
    data[offset:offset + 16] = bytes(16)
    data[offset:offset + 16] = hashlib.md5(data).digest()
    return bytes(data)


def blobs(values, first=1, padding=b'', length='<H'):
    """A blob buffer and the offset of each value in it."""
    buffer = bytearray(first)
    offsets = []
    for value in values:
        offsets.append(len(buffer))
        buffer += struct.pack(length, len(value)) + value + padding
    return bytes(buffer), offsets


def header(devices, configs=(), *, version=1, magic=b'VMA\0', uuid=UUID,
           blob_size=None, align=512, extra=0, reserved=bytes(1984),
           **blob_options):
    """
    An archive's header.  DEVICES: (id, name, size); CONFIGS: (name, data);
    names and data as bytes.  EXTRA: bytes of padding at its end.
    """
    values = [x for name, data in configs for x in (name + b'\0', data)]
    values += [name + b'\0' for _, name, _ in devices]
    buffer, offsets = blobs(values, **blob_options)
    size = (HEADER + len(buffer) + align - 1) // align * align + extra
    out = bytearray(size)
    struct.pack_into('>4sI16sq16xIII1984s', out, 0, magic, version, uuid, CTIME,
                     HEADER, blob_size or len(buffer), size, reserved)
    for i in range(len(configs)):
        struct.pack_into('>I', out, 2044 + 4 * i, offsets[2 * i])
        struct.pack_into('>I', out, 3068 + 4 * i, offsets[2 * i + 1])
    for (device, _, bytes_), offset in zip(devices, offsets[2 * len(configs):]):
        struct.pack_into('>IIQ', out, 4096 + 32 * device, offset, 0, bytes_)
    out[HEADER:HEADER + len(buffer)] = buffer
    return signed(out, 32)


def extent(entries, *, magic=b'VMAE', reserved=0, block_count=None, uuid=UUID,
           entry_reserved=0):
    """An extent: its header and the entries' data."""
    data = b''.join(entry.data for entry in entries)
    out = bytearray(512)
    if block_count is None:
        block_count = len(data) // BLOCK
    struct.pack_into('>4sHH16s', out, 0, magic, reserved, block_count, uuid)
    padded = list(entries) + [UNUSED] * (59 - len(entries))
    for i, entry in enumerate(padded):
        struct.pack_into('>HBBI', out, 40 + 8 * i, entry.mask, entry_reserved,
                         entry.device, entry.number)
    return signed(out, 24) + data


def cluster(image, device, number, full=False):
    """
    The entry of a cluster of IMAGE.  FULL stores all blocks of it, those of
    zeroes and those past the image's end, too.
    """
    content = image[number * CLUSTER:(number + 1) * CLUSTER]
    content += bytes(CLUSTER - len(content))
    mask, data = 0, b''
    for i in range(16):
        block = content[i * BLOCK:(i + 1) * BLOCK]
        if full or block != ZEROES:
            mask |= 1 << i
            data += block
    return Entry(device, number, mask, data)


def clusters(image, device):
    """All entries of an image, in order."""
    count = (len(image) + CLUSTER - 1) // CLUSTER
    return [cluster(image, device, number) for number in range(count)]


def extents(entries, per_extent=PER_EXTENT, **options):
    """The extents of a list of entries, as bytes."""
    return b''.join(extent(entries[i:i + per_extent], **options)
                    for i in range(0, len(entries), per_extent))


def archive(disks, configs=(), per_extent=PER_EXTENT, seed=None):
    """A whole archive.  DISKS: (name, image); ids count from 1."""
    devices = [(i, name, len(image))
               for i, (name, image) in enumerate(disks, 1)]
    entries = [entry for i, (_, image) in enumerate(disks, 1)
               for entry in clusters(image, i)]
    if seed is not None:
        random.Random(seed).shuffle(entries)
    return header(devices, configs) + extents(entries, per_extent)


def make_image(size, seed):
    """About half data and half zeroes; its last byte is not zero."""
    rng = random.Random(seed)
    out = bytearray()
    while len(out) < size:
        out += rng.randbytes(BLOCK) if rng.random() < .5 else bytes(BLOCK)
        if rng.random() < .05:
            out += bytes(2 * CLUSTER)
    out = out[:size]
    out[-1:] = b'\xee'[:size]
    return bytes(out)


def load(argument):
    """NAME=FILE as (name, content)."""
    name, _, path = argument.partition('=')
    with open(path, 'rb') as file:
        return name.encode(), file.read()


def main():
    if sys.argv[1:2] == ['--image']:
        out, data = sys.argv[2], make_image(int(sys.argv[3]), int(sys.argv[4]))
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument('out')
        parser.add_argument('-c', action='append', default=[])
        parser.add_argument('-n', type=int, default=PER_EXTENT)
        parser.add_argument('-s', type=int)
        parser.add_argument('disk', nargs='+')
        args = parser.parse_args()
        out = args.out
        data = archive([load(x) for x in args.disk],
                       [load(x) for x in args.c], args.n, args.s)
    with open(out, 'wb') as file:
        file.write(data)


if __name__ == '__main__':
    main()
