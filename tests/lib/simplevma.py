# SPDX-License-Identifier: GPL-2.0-or-later
"""A second, deliberately simple reader of VMA archives.

Made from the description of the format, sharing nothing with the C code.  It
holds the whole archive in memory and asserts everything that it knows.
"""
import hashlib
import struct


def blob(buffer, offset):
    size = struct.unpack_from('<H', buffer, offset)[0]
    assert offset + 2 + size <= len(buffer)
    return buffer[offset + 2:offset + 2 + size]


def md5_without(data, offset):
    return hashlib.md5(data[:offset] + bytes(16) + data[offset + 16:]).digest()


def read_header(data):
    """Returns its size, uuid, time, {id: (name, size)}, {name: config}"""
    magic, version, uuid, ctime, md5, start, used, size = struct.unpack_from(
        '>4sI16sq16sIII', data)
    assert magic == b'VMA\0' and version == 1 and size % 512 == 0
    assert md5 == md5_without(data[:size], 32)
    buffer = data[start:start + used]
    configs, devices = {}, {}
    names = struct.unpack_from('>256I', data, 2044)
    contents = struct.unpack_from('>256I', data, 3068)
    for name, content in zip(names, contents):
        if name and content:
            configs[blob(buffer, name)[:-1].decode()] = blob(buffer, content)
    for i in range(1, 255):
        name, _, nbytes = struct.unpack_from('>IIQ', data, 4096 + 32 * i)
        if name:
            devices[i] = (blob(buffer, name)[:-1].decode(), nbytes)
    return size, uuid, ctime, devices, configs


def read(data):
    """Returns uuid, time, {name: bytes of the disk}, {name: config}"""
    offset, uuid, ctime, devices, configs = read_header(data)
    disks = {i: bytearray(size) for i, (_, size) in devices.items()}
    seen = {i: set() for i in devices}
    while offset < len(data):
        head = data[offset:offset + 512]
        magic, reserved, blocks, extent_uuid, md5 = struct.unpack_from(
            '>4sHH16s16s', head)
        assert magic == b'VMAE' and reserved == 0 and extent_uuid == uuid
        assert md5 == md5_without(head, 24)
        offset += 512
        end = offset + blocks * 4096
        assert end <= len(data)
        for entry in range(59):
            mask, _, dev, number = struct.unpack_from('>HBBI', head,
                                                      40 + 8 * entry)
            if dev == 0:
                assert mask == 0 and number == 0
                continue
            assert number not in seen[dev]
            seen[dev].add(number)
            for bit in range(16):
                if mask >> bit & 1:
                    at = number * 65536 + bit * 4096
                    room = len(disks[dev]) - at
                    assert room > 0
                    block = data[offset:offset + 4096]
                    assert any(block)
                    assert not any(block[room:])
                    disks[dev][at:at + min(4096, room)] = block[:room]
                    offset += 4096
        assert offset == end
    for i, (_, size) in devices.items():
        assert seen[i] == set(range(-(-size // 65536)))
    return uuid, ctime, {devices[i][0]: bytes(d)
                         for i, d in disks.items()}, configs
