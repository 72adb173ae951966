# SPDX-License-Identifier: GPL-2.0-or-later
"""A second reader that says of any bytes whether they are an archive.

Made from the description of the format and vma/digests.md, sharing nothing with
the C code but libxxhash.  Other than simplevma.py, which holds archives to all
that our writer promises, it accepts what any writer may write: what it refuses,
vma-restore has to refuse, and what it accepts has to come out of it byte for
byte.  It holds the whole archive in memory, and of a disk what is stored.
"""
import ctypes
import hashlib
import struct
import unicodedata

HEADER = 12288
BLOCK = 4096
CLUSTER = 65536
VMSTATE = b'vmstate'

DAMAGED, INCOMPLETE = 3, 4


class Refused(Exception):
    """Has the exit code that vma-restore has to end with."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def damaged_if(condition, text):
    if condition:
        raise Refused(DAMAGED, text)


def incomplete_if(condition, text):
    if condition:
        raise Refused(INCOMPLETE, text)


class XXH128(ctypes.Structure):
    _fields_ = [('low', ctypes.c_uint64), ('high', ctypes.c_uint64)]


_xxhash = ctypes.CDLL('libxxhash.so.0')
_xxhash.XXH3_128bits.restype = XXH128
_xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def xxh3(data):
    value = _xxhash.XXH3_128bits(bytes(data), len(data))
    return struct.pack('>QQ', value.high, value.low)


def md5_is_right(data, at):
    return data[at:at + 16] == hashlib.md5(
        data[:at] + bytes(16) + data[at + 16:]).digest()


class Disk:
    def __init__(self, name, size):
        self.name = name
        self.size = size
        self.clusters = set()
        self.blocks = {}        # by their number, cut at the disk's end

    def is_vmstate(self):
        return self.name == VMSTATE

    def content(self):
        """Of a vmstate, up to the last block that is stored."""
        size = self.size
        if self.is_vmstate():
            size = BLOCK * (max(self.blocks) + 1) if self.blocks else 0
        out = bytearray(size)
        for number, block in self.blocks.items():
            out[BLOCK * number:BLOCK * number + len(block)] = block
        return bytes(out)


class Archive:
    """disks: by id; configs: (name, data), in order; names are bytes."""

    def __init__(self, data):
        self.disks = {}
        self.configs = []
        self._read_header(data)
        self._read_extents(data)
        for disk in self.disks.values():
            count = -(-disk.size // CLUSTER)
            inside = sum(n < count for n in disk.clusters)
            incomplete_if(not disk.is_vmstate() and inside < count,
                          'clusters are missing')

    # The header

    def _read_header(self, data):
        damaged_if(data[:4] != b'VMA\0'[:len(data)], 'no archive')
        incomplete_if(len(data) < HEADER, 'cut in the header')
        version, self.uuid = struct.unpack_from('>I16s', data, 4)
        start, used, size = struct.unpack_from('>III', data, 48)
        damaged_if(version != 1, 'version')
        damaged_if(size <= HEADER or size > 64 << 20, 'header size')
        incomplete_if(len(data) < size, 'cut in the header')
        header = data[:size]
        damaged_if(not md5_is_right(header, 32), 'checksum')
        damaged_if(start < HEADER or start + used > size, 'blob buffer')
        self._blobs = header[start:start + used]
        self.header_size = size
        self.digests = struct.unpack_from('>8sII', header, 60) == (
            b'VMA+XXH3', 1, 0)
        for i in range(256):
            name, = struct.unpack_from('>I', header, 2044 + 4 * i)
            content, = struct.unpack_from('>I', header, 3068 + 4 * i)
            if name and content:
                self.configs.append((self._name(name), self._blob(content)))
        for i in range(1, 255):
            name, _, nbytes = struct.unpack_from('>IIQ', header, 4096 + 32 * i)
            if name:
                damaged_if(nbytes > 1 << 48, 'device size')
                self.disks[i] = Disk(self._name(name), nbytes)

    def _blob(self, offset):
        damaged_if(offset + 2 > len(self._blobs), 'blob')
        size, = struct.unpack_from('<H', self._blobs, offset)
        damaged_if(offset + 2 + size > len(self._blobs), 'blob')
        return self._blobs[offset + 2:offset + 2 + size]

    def _name(self, offset):
        blob = self._blob(offset)
        damaged_if(blob[-1:] != b'\0' or blob[0] == 0, 'name')
        return blob[:blob.index(b'\0')]

    # Extents

    def _read_extents(self, data):
        offset = self.header_size
        sums = []               # digests of the extents so far
        ended = False
        while offset < len(data):
            head = data[offset:offset + 512]
            damaged_if(head[:4] != b'VMAE'[:len(head)], 'no extent')
            incomplete_if(len(head) < 512, 'cut in an extent')
            damaged_if(not md5_is_right(head, 24), 'checksum')
            reserved, count, uuid = struct.unpack_from('>HH16s', head, 4)
            damaged_if(reserved or uuid != self.uuid, 'extent')
            entries = list(struct.iter_unpack('>HBBI', head[40:]))
            damaged_if(any(mask and not device
                           for mask, _, device, _ in entries), 'device 0')
            damaged_if(count != sum(bin(e[0]).count('1') for e in entries),
                       'block count')
            offset += 512
            blocks = data[offset:offset + BLOCK * count]
            incomplete_if(len(blocks) < BLOCK * count, 'cut in an extent')
            offset += BLOCK * count
            if self.digests:
                damaged_if(ended, 'extent after the end mark')
                ended = self._check_digest(entries, blocks, sums)
            self._take(entries, blocks)
        incomplete_if(self.digests and not ended, 'no end mark')

    @staticmethod
    def _check_digest(entries, blocks, sums):
        """Whether it is the end mark."""
        digest, kind, number = struct.unpack_from(
            '>16sBQ', bytes(e[1] for e in entries))
        damaged_if(number != len(sums), 'number')
        if kind == 2:
            damaged_if(any(e[2] for e in entries) or
                       digest != xxh3(b''.join(sums)), 'end mark')
            return True
        damaged_if(kind != 1 or digest != xxh3(blocks), 'digest')
        sums.append(digest)
        return False

    def _take(self, entries, blocks):
        at = 0
        for mask, _, device, number in entries:
            if device == 0:
                continue
            damaged_if(device not in self.disks or
                       not self.disks[device].size, 'unknown device')
            disk = self.disks[device]
            self._check_place(disk, mask, number)
            disk.clusters.add(number)
            for bit in range(16):
                if mask >> bit & 1:
                    place = 16 * number + bit
                    room = disk.size - BLOCK * place
                    block = blocks[at:at + BLOCK]
                    at += BLOCK
                    if disk.is_vmstate() or room >= BLOCK:
                        disk.blocks[place] = block
                    elif room > 0:
                        disk.blocks[place] = block[:room]

    @staticmethod
    def _check_place(disk, mask, number):
        count = -(-disk.size // CLUSTER)
        if disk.is_vmstate():
            damaged_if(number != len(disk.clusters), 'vmstate out of order')
            return
        damaged_if(number in disk.clusters, 'cluster twice')
        if number >= count:
            # A reader of others has room for a multiple of 64 clusters.
            damaged_if(mask or number >= -(-count // 64) * 64, 'past the end')
        elif mask != 0xffff:
            room = disk.size - CLUSTER * number
            damaged_if(mask >> min(16, -(-room // BLOCK)), 'past the end')


# Controls, formats, what is unassigned, ends of lines and of paragraphs.
NOT_SHOWN = 'Cc', 'Cf', 'Cn', 'Zl', 'Zp'


def escape(name):
    """A name as that of a file: what is not safe in one is %XX."""
    out, at = b'', 0
    while at < len(name):
        char, size = None, 0
        while char is None and size < 4:
            size += 1
            try:
                char = name[at:at + size].decode()
            except UnicodeDecodeError:
                pass
        if (char is None or char in '/%' or at == 0 and char == '.'
                or unicodedata.category(char) in NOT_SHOWN):
            out += b'%%%02X' % name[at]
            at += 1
        else:
            out += name[at:at + size]
            at += size
    return out


def shorten(name, suffix):
    """What is too long for a file name: its start, and a hash of it."""
    if len(name) <= 255:
        return name
    end = 200
    while name[end] & 0xc0 == 0x80:
        end -= 1
    return b'%s-%s%s' % (name[:end], hashlib.sha256(
        name).hexdigest()[:16].encode(), suffix)


def disk_file(disk):
    return b'vmstate.bin' if disk.is_vmstate() else shorten(
        escape(b'disk-' + disk.name + b'.raw'), b'.raw')


def config_file(name):
    return shorten(escape(name), b'')
