#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Each field of each struct of an archive, set to what is wrong: with the checksum
over it left as it was, which finds it; and with the checksum made right again,
where the field's own check finds it or it does no harm.

The structs are read from the sources, and a field without a row is a failure.
"""
import importlib.util
import os
import struct
import subprocess
import sys
import tempfile
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, ROOT + '/tests/lib')
sys.dont_write_bytecode = True
import cstructs  # noqa: E402
import mkvma  # noqa: E402

B = os.environ.get('B', ROOT + '/build')
SINK = os.environ.get('VMA_SINK', B + '/vma-sink')
RESTORE = os.environ.get('VMA_RESTORE', B + '/vma-restore')
OK, DAMAGED, INCOMPLETE = 0, 3, 4

FORMAT = cstructs.load(ROOT + '/vma-sink/vma/format.h')
MARKS = cstructs.load(ROOT + '/vma-sink/vma/digest.c')
HEADER, EXTENT = FORMAT['VmaHeader'], FORMAT['VmaExtentHeader']
INFO = FORMAT['VmaBlockInfo']

# Three clusters: data, zeroes, and a short one of data.
DISK = b'A' * 65536 + bytes(65536) + b'B' * 512
FILES = {'disk-disk.raw': DISK, 'conf': b'text'}


def make_archive():
    """A header, one extent and the end mark, as vma-sink writes them."""
    spec = importlib.util.spec_from_file_location(
        'vectors', ROOT + '/tests/data/make-stream-vectors.py')
    v = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(v)
    stream = (v.preamble([v.device(1, 'disk', len(DISK))],
                         [v.config('conf', b'text')])
              + v.record(v.DATA, 1, 0, 1, DISK[:65536])
              + v.record(v.ZERO, 1, 1, 1)
              + v.record(v.DATA, 1, 2, 1, DISK[-512:])
              + v.device_end(1, 2, 1) + v.end(4, 2, 1, 65536 + 512))
    return subprocess.run([SINK, '-o', '-'], input=stream, check=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout


ARCHIVE = make_archive()
HEADER_BYTES = struct.unpack_from('>I', ARCHIVE, 56)[0]
FIRST = HEADER_BYTES                    # the extent
END = FIRST + 512 + 17 * 4096           # the end mark
BLOBS = HEADER.bytes
assert len(ARCHIVE) == END + 512


def sign_header(data):
    size = max(HEADER.bytes, min(struct.unpack_from('>I', data, 56)[0],
                                 len(data)))
    return mkvma.signed(data[:size], 32) + data[size:]


def sign_extent(offset):
    def sign(data):
        return (data[:offset] + mkvma.signed(data[offset:offset + 512], 24)
                + data[offset + 512:])
    return sign


def without_digests():
    data = bytearray(ARCHIVE[:END])
    data[60:76] = bytes(16)
    for i in range(59):
        data[FIRST + 42 + 8 * i] = 0
    return sign_extent(FIRST)(sign_header(bytes(data)))


PLAIN = without_digests()

# Where a struct stands: the offset in the archive, what makes the checksum over
# it right again, what is said of it if nothing does, whether "list" sees it.
Place = namedtuple('Place', 'offset sign words listed')
BAD_HEADER = 'checksum mismatch in the header'
PLACES = {
    'VmaHeader': Place(0, sign_header, BAD_HEADER, True),
    'VmaDeviceInfo': Place(4096 + 32, sign_header, BAD_HEADER, True),
    'HeaderMark': Place(60, sign_header, BAD_HEADER, True),
    'blob': Place(BLOBS, sign_header, BAD_HEADER, True),
    'VmaExtentHeader': Place(FIRST, sign_extent(FIRST), 'checksum mismatch',
                             False),
    'VmaBlockInfo': Place(FIRST + 40, sign_extent(FIRST), 'checksum mismatch',
                          False),
    'Spare': Place(FIRST, sign_extent(FIRST), 'checksum mismatch', False),
    'end VmaExtentHeader': Place(END, sign_extent(END), 'checksum mismatch',
                                 False),
    'end VmaBlockInfo': Place(END + 40, sign_extent(END), 'checksum mismatch',
                              False),
    'end Spare': Place(END, sign_extent(END), 'checksum mismatch', False),
    # Not a struct; its checksum, if there is one, is the digest.
    'data': Place(FIRST + 512, None, 'does not match its digest', False),
}

# code, words: of verify and extract, with the right checksum.  list: the code
# of list, if another than the place tells.  wrong: words, and wrong_code, with
# the wrong checksum, where something else is looked at first.  verify: its code
# in both cases, where it sees more than the others.  files: what extract gives.
Row = namedtuple('Row', 'place field index value code words list wrong '
                 'wrong_code verify files base')
ROWS = []


def row(name, value, code=OK, words='', index=0, listed=None, wrong=None,
        wrong_code=DAMAGED, verify=None, files=None, base=ARCHIVE):
    place, _, field = name.rpartition('.')
    if listed is None:
        listed = code if PLACES[place].listed else OK
    ROWS.append(Row(place, field, index, value, code, words, listed,
                    wrong or PLACES[place].words, wrong_code, verify,
                    FILES if files is None else files, base))


def harmless(name, value, why, **options):
    assert why
    row(name, value, OK, **options)


# The archive's header
row('VmaHeader.magic', b'vMA\0', DAMAGED, 'not a VMA archive',
    wrong='not a VMA archive')
row('VmaHeader.version', 2, DAMAGED, 'the archive has version 2',
    wrong='the archive has version 2')
row('VmaHeader.uuid', b'\1' * 16, DAMAGED, 'it belongs to another archive',
    listed=OK)
harmless('VmaHeader.ctime_s', 5, 'it is only shown')
row('VmaHeader.md5', b'\1' * 16, None)
row('VmaHeader.blob_buffer_offset', 12287, DAMAGED, 'place of the blob buffer')
row('VmaHeader.blob_buffer_offset', 2**32 - 1, DAMAGED,
    'place of the blob buffer')
row('VmaHeader.blob_buffer_offset', 12289, DAMAGED, 'config 0: blob')
row('VmaHeader.blob_buffer_size', 2**32 - 1, DAMAGED,
    'place of the blob buffer')
row('VmaHeader.blob_buffer_size', 3, DAMAGED, 'outside of the blob buffer')
row('VmaHeader.blob_buffer_size', 0, DAMAGED, 'outside of the blob buffer')
harmless('VmaHeader.blob_buffer_size', 512, 'its room is there')
row('VmaHeader.header_size', 0, DAMAGED, 'bad header size 0',
    wrong='bad header size 0')
row('VmaHeader.header_size', 12288, DAMAGED, 'bad header size 12288',
    wrong='bad header size 12288')
row('VmaHeader.header_size', (64 << 20) + 1, DAMAGED, 'bad header size',
    wrong='bad header size')
row('VmaHeader.header_size', 64 << 20, INCOMPLETE, 'ends in its header',
    wrong='ends in its header', wrong_code=INCOMPLETE, verify=DAMAGED)
row('VmaHeader.header_size', HEADER_BYTES + 512, DAMAGED, 'this is no extent',
    listed=OK)
row('VmaHeader.header_size', HEADER_BYTES - 1, DAMAGED, 'this is no extent',
    listed=OK)
harmless('VmaHeader.reserved1', b'\1', 'known readers ignore it', index=16)
harmless('VmaHeader.reserved1', b'\1', 'known readers ignore it', index=1983)
harmless('VmaHeader.config_names', 0, 'a config without a name is none',
         files={'disk-disk.raw': DISK})
row('VmaHeader.config_names', 2**31, DAMAGED, 'outside of the blob buffer')
harmless('VmaHeader.config_names', 1, 'a config without data is none',
         index=255)
harmless('VmaHeader.config_data', 0, 'a config without data is none',
         files={'disk-disk.raw': DISK})
row('VmaHeader.config_data', 2**32 - 1, DAMAGED, 'outside of the blob buffer')
harmless('VmaHeader.config_data', 1, 'a config without a name is none',
         index=255)
harmless('VmaHeader.reserved2', b'\1', 'known readers ignore it', index=3)
harmless('VmaHeader.devices', b'\1' * 32, 'device id 0 is none')
harmless('VmaHeader.devices', b'\1' * 32, 'device id 255 is none', index=255)

row('VmaDeviceInfo.name', 0, DAMAGED, 'of device id 1, which the archive does',
    listed=OK)
row('VmaDeviceInfo.name', 2**31, DAMAGED, 'outside of the blob buffer')
row('VmaDeviceInfo.name', 2, DAMAGED, 'device id 1: blob at offset 2')
harmless('VmaDeviceInfo.reserved1', 1, 'known readers ignore it')
row('VmaDeviceInfo.size_bytes', 0, DAMAGED, 'of device id 1, which the archive',
    listed=OK)
row('VmaDeviceInfo.size_bytes', 2 * 65536, DAMAGED, 'cluster 2 is past the end',
    listed=OK)
row('VmaDeviceInfo.size_bytes', 4 * 65536, INCOMPLETE,
    'missing 1 of 4 clusters', listed=OK)
row('VmaDeviceInfo.size_bytes', 2**48 + 1, DAMAGED, 'bad size of')
row('VmaDeviceInfo.size_bytes', 2**64 - 1, DAMAGED, 'bad size of')
harmless('VmaDeviceInfo.reserved2', 1, 'known readers ignore it')
harmless('VmaDeviceInfo.reserved2', 1, 'known readers ignore it', index=1)

# The first blob, "conf", and the second, its data.
row('blob.length', b'\xff\xff', DAMAGED, 'outside of the blob buffer')
row('blob.length', b'\0\0', DAMAGED, 'blob at offset 1 is no name')
row('blob.length', b'\1\0', DAMAGED, 'blob at offset 1 is no name')
row('blob.first', b'\0', DAMAGED, 'blob at offset 1 is no name')
row('blob.nul', b'x', DAMAGED, 'blob at offset 1 is no name')
harmless('blob.none', b'\1', 'offset 0 means none, so nobody reads it')
harmless('blob.data', b'T', 'it is a config like any other',
         files={**FILES, 'conf': b'Text'})

harmless('HeaderMark.magic', b'VMA+XXH4', 'it has no digests then')
harmless('HeaderMark.version', 2, 'known readers ignore it, and it is said')
harmless('HeaderMark.reserved', 1, 'known readers ignore it, and it is said')

# An extent
row('VmaExtentHeader.magic', b'VMAX', DAMAGED, 'this is no extent',
    wrong='this is no extent')
row('VmaExtentHeader.reserved', 1, DAMAGED, 'reserved field is not zero')
row('VmaExtentHeader.block_count', 16, DAMAGED, 'block count 16, but')
row('VmaExtentHeader.block_count', 18, DAMAGED, 'block count 18, but')
row('VmaExtentHeader.block_count', 65535, DAMAGED, 'block count 65535, but')
row('VmaExtentHeader.uuid', b'\1' * 16, DAMAGED, 'belongs to another archive')
row('VmaExtentHeader.md5', b'\1' * 16, None)
row('VmaExtentHeader.blockinfo', b'\0' * 8, DAMAGED, 'block count 17, but')

row('VmaBlockInfo.mask', 0xfffe, DAMAGED, 'block count 17, but')
row('VmaBlockInfo.mask', 0, DAMAGED, 'block count 17, but')
row('VmaBlockInfo.reserved', 1, DAMAGED, 'does not match its digest')
harmless('VmaBlockInfo.reserved', 1, 'known readers ignore it', base=PLAIN)
row('VmaBlockInfo.device_id', 0, DAMAGED, 'blocks of no device in entry 0')
row('VmaBlockInfo.device_id', 2, DAMAGED, 'device id 2')
row('VmaBlockInfo.device_id', 255, DAMAGED, 'device id 255')
row('VmaBlockInfo.cluster_number', 1, DAMAGED, 'cluster 1 is there twice')
row('VmaBlockInfo.cluster_number', 3, DAMAGED, 'past the end')
row('VmaBlockInfo.cluster_number', 2**32 - 1, DAMAGED, 'past the end')
# Entries that are not in use
row('VmaBlockInfo.mask', 1, DAMAGED, 'blocks of no device in entry 3', index=3)
row('VmaBlockInfo.mask', 1, DAMAGED, 'blocks of no device in entry 58',
    index=58)
harmless('VmaBlockInfo.reserved', 1, 'known readers ignore it', index=58)
row('VmaBlockInfo.device_id', 1, DAMAGED, 'cluster 0 is there twice', index=58)
harmless('VmaBlockInfo.cluster_number', 7, 'it is of no device', index=58)

row('Spare.digest', b'\1' * 16, DAMAGED, 'does not match its digest')
row('Spare.kind', 0, DAMAGED, 'neither data nor the end mark')
row('Spare.kind', 2, DAMAGED, 'the end mark does not match')
row('Spare.number', 1, DAMAGED, 'extent number 1, where 0 should be')
row('Spare.number', 2**64 - 1, DAMAGED, 'where 0 should be')
harmless('Spare.reserved', b'\1' * 34, 'a reader ignores it')
harmless('Spare.digest', b'\1' * 16, 'there are no digests', base=PLAIN)

# The end mark
row('end VmaExtentHeader.magic', b'VMAX', DAMAGED, 'this is no extent',
    wrong='this is no extent')
row('end VmaExtentHeader.reserved', 1, DAMAGED, 'reserved field is not zero')
row('end VmaExtentHeader.block_count', 1, DAMAGED, 'block count 1, but')
row('end VmaExtentHeader.uuid', b'\1' * 16, DAMAGED, 'to another archive')
row('end VmaExtentHeader.md5', b'\1' * 16, None)
row('end VmaExtentHeader.blockinfo', b'\0\0\0\1\0\0\0\0', DAMAGED,
    'the end mark does not match')
row('end VmaBlockInfo.mask', 1, DAMAGED, 'blocks of no device in entry 0')
row('end VmaBlockInfo.reserved', 0, DAMAGED, 'the end mark does not match')
row('end VmaBlockInfo.device_id', 1, DAMAGED, 'the end mark does not match')
harmless('end VmaBlockInfo.cluster_number', 1, 'it is of no device')
row('end Spare.digest', b'\1' * 16, DAMAGED, 'the end mark does not match')
row('end Spare.kind', 0, DAMAGED, 'neither data nor the end mark')
row('end Spare.kind', 1, DAMAGED, 'does not match its digest')
row('end Spare.number', 0, DAMAGED, 'extent number 0, where 1 should be')
harmless('end Spare.reserved', b'\1' * 34, 'a reader ignores it')

# The data: with a digest it can only be wrong, without nobody knows.
row('data.block', b'X', None)
harmless('data.block', b'X', 'nothing says what the data should be', base=PLAIN,
         files={**FILES, 'disk-disk.raw': b'X' + DISK[1:]})

OTHER_FIELDS = {        # offset from the place, size
    'blob.none': (0, 1), 'blob.length': (1, 2), 'blob.first': (3, 1),
    'blob.nul': (7, 1), 'blob.data': (10, 1), 'data.block': (0, 1),
}


def position(r):
    """Where the row's bytes stand in the archive: a list of offsets."""
    start = PLACES[r.place].offset
    name = r.place.split()[-1]
    if name + '.' + r.field in OTHER_FIELDS:
        offset, size = OTHER_FIELDS[name + '.' + r.field]
        return list(range(start + offset, start + offset + size))
    field = (MARKS if name in MARKS else FORMAT)[name].fields[r.field]
    if name == 'Spare':     # the third byte of each entry
        return [start + 42 + 8 * i for i in
                range(field.offset, field.offset + field.bytes * field.count)]
    if name == 'VmaBlockInfo':
        offset = start + INFO.bytes * r.index + field.offset
    else:
        offset = start + field.offset + field.bytes * r.index
    size = len(r.value) if isinstance(r.value, bytes) else field.bytes
    return list(range(offset, offset + size))


def with_value(r):
    data = bytearray(r.base)
    offsets = position(r)
    value = r.value
    if isinstance(value, int):
        value = value.to_bytes(len(offsets), 'big')
    assert len(value) == len(offsets), r
    for offset, byte in zip(offsets, value):
        data[offset] = byte
    assert data != r.base, r
    return bytes(data)


def check_rows():
    """A row for each field of each struct, in a data extent and the end."""
    have = {(r.place, r.field) for r in ROWS}
    places = {name: name for name in list(FORMAT) + list(MARKS)}
    places.update({'end ' + name: name for name in
                   ('VmaExtentHeader', 'VmaBlockInfo', 'Spare')})
    missing = [place + '.' + field for place, name in places.items()
               for field in {**FORMAT, **MARKS}[name].fields
               if (place, field) not in have]
    assert len(places) == 9 and len(have) > 50, places
    return missing


def run(folder, *args):
    return subprocess.run([RESTORE, *args], cwd=folder, timeout=60, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True)


def check_result(what, result, code, words):
    message = result.stderr.decode()
    if result.returncode != code:
        return f'{what}: exit code {result.returncode}, not {code}: {message}'
    if code != OK and words not in message:
        return f'{what}: no message with "{words}": {message}'
    return None


def check_files(folder, files):
    out = os.path.join(folder, 'out')
    if files is None:
        return 'extract left a folder' if os.path.exists(out) else None
    if sorted(os.listdir(out)) != sorted(files):
        return f'extract gave {os.listdir(out)}'
    for name, content in files.items():
        with open(os.path.join(out, name), 'rb') as file:
            if file.read() != content:
                return f'extract: {name} is wrong'
    return None


def check_archive(data, listed, verify, code, words, files):
    """Codes of list, verify and extract, words of all of them."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'x.vma'), 'wb') as file:
            file.write(data)
        return (check_result('list', run(folder, 'list', 'x.vma'), listed,
                             words)
                or check_result('verify', run(folder, 'verify', 'x.vma'),
                                code if verify is None else verify, words)
                or check_result('extract', run(folder, 'extract', 'x.vma',
                                               'out'), code, words)
                or check_files(folder, files if code == OK else None))


def main():
    failed = check_rows()
    count = 0
    for name in failed:
        print(f'{name}: no row')
    for r in ROWS:
        data = with_value(r)
        place = PLACES[r.place]
        problem = None
        if place.sign or r.base is ARCHIVE:
            count += 1
            listed = r.wrong_code if place.listed else OK
            problem = check_archive(data, listed, r.verify, r.wrong_code,
                                    r.wrong, None)
            problem = problem and 'with the wrong checksum: ' + problem
        if r.code is not None and not problem:
            count += 1
            data = place.sign(data) if place.sign else data
            problem = check_archive(data, r.list, r.verify, r.code, r.words,
                                    r.files)
        if problem:
            failed.append(r)
            print(f'{r.place}.{r.field} = {r.value}: {problem}')
    print(f'{len(ROWS)} rows, {count} archives, {len(failed)} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
