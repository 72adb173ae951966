# SPDX-License-Identifier: GPL-2.0-or-later
"""A second, deliberately simple reader of compressed, seekable archives.

Made from vma-sink/vma/seekable.md, sharing nothing with the C code.  It asserts
everything that it knows.  Frames are decompressed by the program zstd, and
hashes computed by xxhsum.
"""
import struct
import subprocess
from collections import namedtuple

Frame = namedtuple('Frame', 'offset size content_size')
Index = namedtuple('Index', 'uuid total extents clusters blocks runs')
Run = namedtuple('Run', 'first last frame extent block mask device slot')


def run_program(*command, data):
    return subprocess.run(command, input=data, check=True,
                          stdout=subprocess.PIPE).stdout


def xxh3_128(data):
    text = run_program('xxhsum', '-q', '-H2', data=data)
    return bytes.fromhex(text.split()[0].decode())


def decompress(data):
    return run_program('zstd', '-dcq', data=data)


def read_table(data):
    """The frames of the file, but for the seek table."""
    count, flags, magic = struct.unpack('<IBI', data[-9:])
    assert magic == 0x8f92eab1 and flags == 0
    start = len(data) - 9 - 8 * count - 8
    assert start >= 0
    magic, size = struct.unpack_from('<II', data, start)
    assert magic == 0x184d2a5e and size == 8 * count + 9
    frames, offset = [], 0
    for size, content_size in struct.iter_unpack('<II', data[start + 8:-9]):
        frames.append(Frame(offset, size, content_size))
        offset += size
    assert offset == start
    return frames


def read_frame(data, frame):
    content = decompress(data[frame.offset:frame.offset + frame.size])
    assert len(content) == frame.content_size
    return content


def read_index(data):
    """The frames with contents, and the index."""
    frames = read_table(data)
    last = frames.pop()
    assert last.content_size == 0 and all(f.content_size for f in frames)
    part = data[last.offset:last.offset + last.size]
    magic, size = struct.unpack_from('<II', part)
    assert magic == 0x184d2a5d and size == len(part) - 8
    part = part[8:]
    assert xxh3_128(part[:-16]) == part[-16:]
    (magic, version, zero, uuid, total, extents, clusters, blocks, count,
     runs, digest) = struct.unpack_from('<8sII16sQQQQII16s', part)
    assert magic == b'VMA+SEEK' and version == 1 and zero == 0
    assert total == sum(f.content_size for f in frames)
    assert count == len(frames) and len(part) == 88 + 24 * runs + 16
    entries = b''.join(struct.pack('<II', f.size, f.content_size)
                       for f in frames)
    assert xxh3_128(entries) == digest
    raw = list(struct.iter_unpack('<IIIIHHBBH', part[88:-16]))
    assert all(r[-1] == 0 for r in raw)
    runs = [Run(*r[:-1]) for r in raw]
    assert runs == sorted(runs, key=lambda r: (r.device, r.first))
    return frames, Index(uuid, total, extents, clusters, blocks, runs)


def check_extent(content, run):
    """The run is what the extent's header, where it points to, says."""
    head = content[run.extent:run.extent + 512]
    assert head[:4] == b'VMAE'
    for i in range(run.last - run.first + 1):
        mask, _, device, number = struct.unpack_from(
            '>HBBI', head, 40 + 8 * (run.slot + i))
        assert (mask, device, number) == (run.mask, run.device, run.first + i)


def read_run(content, run):
    """The bytes of the run's clusters, each of 64 KiB."""
    at = run.extent + 512 + 4096 * run.block
    out = bytearray()
    for _ in range(run.first, run.last + 1):
        for bit in range(16):
            if run.mask >> bit & 1:
                out += content[at:at + 4096]
                at += 4096
            else:
                out += bytes(4096)
    return bytes(out)


def read_disks(data, sizes):
    """{device id: bytes}, each cluster by the index; SIZES: {id: bytes}."""
    frames, index = read_index(data)
    contents = {}
    disks = {device: bytearray() for device in sizes}
    for run in index.runs:
        assert len(disks[run.device]) == run.first * 65536
        if run.mask:
            assert 1 <= run.frame < len(frames)
            if run.frame not in contents:
                contents[run.frame] = read_frame(data, frames[run.frame])
            check_extent(contents[run.frame], run)
            disks[run.device] += read_run(contents[run.frame], run)
        else:
            assert (run.frame, run.extent, run.block, run.slot) == (0,) * 4
            disks[run.device] += bytes(65536 * (run.last - run.first + 1))
    for device, size in sizes.items():
        assert len(disks[device]) == -(-size // 65536) * 65536
        assert not any(disks[device][size:])
        disks[device] = bytes(disks[device][:size])
    assert index.clusters == sum(-(-size // 65536) for size in sizes.values())
    assert index.blocks == sum((r.last - r.first + 1) *
                               bin(r.mask).count('1') for r in index.runs)
    return disks, index, frames
