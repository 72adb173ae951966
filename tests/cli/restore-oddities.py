#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Every oddity and every damage that an archive can have is either restored right
or refused with the right exit code and words, and never leaves a file behind.
The same holds for each disk alone to standard output, out of an index.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
import mkvma  # noqa: E402
from mkvma import BLOCK, CLUSTER, Entry  # noqa: E402

RESTORE = os.environ.get('VMA_RESTORE', 'build/vma-restore')
OK, USAGE, DAMAGED, INCOMPLETE = 0, 2, 3, 4

A = mkvma.make_image(130 * CLUSTER, 1)
# The last cluster has 6 blocks, the last one with 1536 bytes.
B = mkvma.make_image(70 * CLUSTER + 5 * BLOCK + 1536, 2)
SHORT = mkvma.make_image(2 * CLUSTER + 4501, 3)
EXACT = mkvma.make_image(64 * CLUSTER, 4)
CONFIGS = [(b'qemu-server.conf', b'name: x\n'), (b'qemu-server.fw', b'')]
DEVICES = [(1, b'a', len(A)), (2, b'b', len(B))]
FILES = {'disk-a.raw': A, 'disk-b.raw': B, 'qemu-server.conf': b'name: x\n',
         'qemu-server.fw': b''}
DISKS = {name: FILES[name] for name in ('disk-a.raw', 'disk-b.raw')}
ENTRIES = mkvma.clusters(A, 1) + mkvma.clusters(B, 2)
HEADER = mkvma.header(DEVICES, CONFIGS)
PLAIN = HEADER + mkvma.extents(ENTRIES)
LAST = mkvma.extent(ENTRIES[len(ENTRIES) // 58 * 58:])
FIRST = ENTRIES[0]

# Name, archive, exit code and words of verify, of extract, files restored.
CASES = []


def good(name, data, files=None):
    files = FILES if files is None else files
    CASES.append((name, data, OK, '', OK, '', files))


def bad(name, data, code, words):
    CASES.append((name, data, code, words, code, words, None))


def with_header(*args, **options):
    """The regular extents behind another header."""
    return mkvma.header(*args, **options) + mkvma.extents(ENTRIES)


def with_extent(*args, **options):
    """The regular archive and one extent more."""
    return PLAIN + mkvma.extent(*args, **options)


def with_last(**options):
    """The regular archive with an odd last extent."""
    return PLAIN[:-len(LAST)] + mkvma.extent(
        ENTRIES[len(ENTRIES) // 58 * 58:], **options)


def flipped(offset, mask=1):
    data = bytearray(PLAIN)
    data[offset] ^= mask
    return bytes(data)


def one_disk(image, entries):
    """An archive of disk 'd', as large as the image, with these entries."""
    return mkvma.header([(1, b'd', len(image))]) + mkvma.extents(entries)


def replace(entries, number, entry):
    return [entry if e.number == number else e for e in entries]


# Order and shape
shuffled = ENTRIES[::-3] + ENTRIES[-2::-3] + ENTRIES[-3::-3]
holes = [x for entry in ENTRIES for x in (mkvma.UNUSED, entry)]
good('regular', PLAIN)
good('clusters in any order, devices mixed',
     HEADER + mkvma.extents(shuffled))
good('unused entries between used ones', HEADER + mkvma.extents(holes))
for n in (1, 58, 59):
    good(f'{n} clusters an extent', HEADER + mkvma.extents(ENTRIES, n))
good('an empty extent first',
     HEADER + mkvma.extent([]) + mkvma.extents(ENTRIES))
good('an empty extent last', with_extent([]))
good('zero blocks stored as data',
     one_disk(EXACT, [mkvma.cluster(EXACT, 1, i, True) for i in range(64)]),
     {'disk-d.raw': EXACT})
good('reserved bytes of entries set',
     HEADER + mkvma.extents(ENTRIES, entry_reserved=0xa5))
good('marks in all reserved bytes and an empty last extent',
     with_header(DEVICES, CONFIGS, reserved=b'mark' * 496) +
     mkvma.extent([], entry_reserved=0x5a))

# Extents that lie
bad('device 0 with a mask', with_extent([Entry(0, 0, 1, bytes(BLOCK))]),
    DAMAGED, 'blocks of no device')
bad('reserved field of an extent set', with_last(reserved=1), DAMAGED,
    'reserved field')
bad('block count too large', with_last(block_count=len(LAST) // BLOCK + 1),
    DAMAGED, 'block count')
bad('block count too small', with_last(block_count=len(LAST) // BLOCK - 1),
    DAMAGED, 'block count')
bad('block count 65535', with_last(block_count=65535), DAMAGED, 'block count')
bad('another uuid in an extent', with_last(uuid=bytes(16)), DAMAGED,
    'belongs to another archive')
bad('wrong magic of an extent', with_last(magic=b'VMAX'), DAMAGED,
    'this is no extent')
bad('an extent header with a flipped bit', flipped(-len(LAST) + 50), DAMAGED,
    f'offset {len(PLAIN) - len(LAST)}: checksum mismatch')

# Clusters that are not once and within their device
bad('a cluster twice', with_extent([FIRST]), DAMAGED,
    f"offset {len(PLAIN)}: device 'a': cluster 0 is there twice")
bad('a cluster of zeroes twice', one_disk(bytes(CLUSTER), [
    Entry(1, 0, 0, b''), Entry(1, 0, 0, b'')]), DAMAGED, 'twice')
bad('a cluster missing', HEADER + mkvma.extents(ENTRIES[1:]), INCOMPLETE,
    "missing 1 of 130 clusters of device 'a' (first: 0)")
bad('a cluster of zeroes missing', one_disk(bytes(3 * CLUSTER), [
    Entry(1, 0, 0, b''), Entry(1, 2, 0, b'')]), INCOMPLETE,
    "missing 1 of 3 clusters of device 'd' (first: 1)")
bad('an unknown device id', with_extent([Entry(9, 0, 1, bytes(BLOCK))]),
    DAMAGED, 'device id 9')
bad('device id 255', with_extent([Entry(255, 0, 0, b'')]), DAMAGED,
    'device id 255')
good('just past the end, all zero', with_extent([Entry(1, 130, 0, b'')]))
good('past the end up to a multiple of 64, all zero', with_extent(
    [Entry(1, i, 0, b'') for i in range(133, 192)]))
bad('past the end twice', with_extent([Entry(1, 130, 0, b'')] * 2), DAMAGED,
    'cluster 130 is there twice')
bad('past the end beyond a multiple of 64', with_extent(
    [Entry(1, 192, 0, b'')]), DAMAGED, 'past the end')
bad('just past the end of a multiple of 64', one_disk(
    EXACT, mkvma.clusters(EXACT, 1) + [Entry(1, 64, 0, b'')]), DAMAGED,
    'past the end')
bad('just past the end, with data', with_extent(
    [Entry(1, 130, 1, bytes(BLOCK))]), DAMAGED, 'past the end')
bad('far past the end', with_extent([Entry(1, 99999, 0, b'')]), DAMAGED,
    'past the end')
bad('the largest cluster number', with_extent([Entry(1, 2**32 - 1, 0, b'')]),
    DAMAGED, 'past the end')

# The end of a device
entries_b = mkvma.clusters(B, 1)
last_b = entries_b[70]
good('last cluster: mask 0xffff past the end',
     one_disk(B, replace(entries_b, 70, mkvma.cluster(B, 1, 70, True))),
     {'disk-d.raw': B})
bad('last cluster: a block past the end in a partial mask',
    one_disk(B, replace(entries_b, 70, last_b._replace(
        mask=last_b.mask | 1 << 6, data=last_b.data + bytes(BLOCK)))),
    DAMAGED, "cluster 70 has blocks past the device's end")
good('last block of 512 bytes', one_disk(A[:CLUSTER + 512], mkvma.clusters(
    A[:CLUSTER + 512], 1)), {'disk-d.raw': A[:CLUSTER + 512]})
good('bytes past the end in the last block', one_disk(
    A[:512], [Entry(1, 0, 1, A[:512] + b'x' * (BLOCK - 512))]),
    {'disk-d.raw': A[:512]})
good('size not a multiple of 512', one_disk(SHORT, mkvma.clusters(SHORT, 1)),
     {'disk-d.raw': SHORT})
good('size 1', one_disk(b'x', [Entry(1, 0, 1, b'x' + bytes(BLOCK - 1))]),
     {'disk-d.raw': b'x'})

# The archive's header
SPREAD = [(1, b'a', len(A)), (200, b'b', len(B)), (254, b'z', 0)]
good('device ids with gaps, and a device of size 0', mkvma.header(
    SPREAD, CONFIGS) + mkvma.extents(mkvma.clusters(A, 1) +
                                     mkvma.clusters(B, 200)),
    {**FILES, 'disk-z.raw': b''})
bad('a cluster of a device of size 0', one_disk(b'', [Entry(1, 0, 0, b'')]),
    DAMAGED, 'device id 1')
bad('blob length in big-endian', with_header(DEVICES, CONFIGS, length='>H'),
    DAMAGED, 'outside of the blob buffer')
good('blobs from 2 on', with_header(DEVICES, CONFIGS, first=2))
bad('blobs from 0 on', with_header(DEVICES[::-1], first=0), DAMAGED,
    'device id 2')
good('one byte between blobs', with_header(DEVICES, CONFIGS, padding=b'\0'))
good('two bytes between blobs', with_header(DEVICES, CONFIGS, padding=b'\0\0'))
good('blob buffer size rounded up', with_header(DEVICES, CONFIGS,
                                                blob_size=512))
bad('blob buffer past the header', with_header(DEVICES, CONFIGS,
                                               blob_size=4096),
    DAMAGED, 'blob buffer')
good('header with padding', with_header(DEVICES, CONFIGS, extra=65536))
good('header not a multiple of 512', with_header(DEVICES, CONFIGS, align=1))
good('header over 512 KiB', with_header(DEVICES, CONFIGS, extra=614400))
good('no config', with_header(DEVICES), DISKS)
good('256 configs', with_header(DEVICES, [
    (b'%d.conf' % i, b'%d' % i) for i in range(256)]),
    {**DISKS, **{f'{i}.conf': b'%d' % i for i in range(256)}})
good('the largest config', with_header(DEVICES, [(b'c', A[:65535])]),
     {**DISKS, 'c': A[:65535]})
good('config named ../x', with_header(DEVICES, [(b'../x', b'1')]),
     {**DISKS, '%2E.%2Fx': b'1'})
good('reserved header bytes set', with_header(DEVICES, CONFIGS,
                                              reserved=b'mark' * 496))
CASES.append(('two devices of one name', mkvma.header(
    [(1, b'a', len(A)), (2, b'a', len(B))]) + mkvma.extents(ENTRIES), OK, '',
    USAGE, "the file 'disk-a.raw'", None))
CASES.append(('two configs of one name', with_header(
    DEVICES, CONFIGS[:1] * 2), OK, '', USAGE, "the file 'qemu-server.conf'",
    None))
bad('version 2', with_header(DEVICES, version=2), DAMAGED, 'version 2')
bad('header with a flipped bit', flipped(5000), DAMAGED,
    'checksum mismatch in the header')
bad('another magic', b'X' + PLAIN[1:], DAMAGED, 'not a VMA archive')
bad('an empty file', b'', INCOMPLETE, 'ends in its header, after 0 bytes')

# Data
good('a flipped bit in the data', flipped(-BLOCK),
     {**FILES, 'disk-b.raw': B[:-1536] + bytes([B[-1536] ^ 1]) + B[-1535:]})

# The guest's memory
STATE = mkvma.make_image(3 * CLUSTER, 5)
state = [mkvma.cluster(STATE, 1, i, True) for i in range(3)]
state += [Entry(1, 3, 3, b'\1' * 2 * BLOCK)]
VMSTATE = mkvma.header([(1, b'vmstate', 10 * CLUSTER), (2, b'b', len(B))])
blocks = bytearray(CLUSTER)
blocks[BLOCK:2 * BLOCK] = blocks[5 * BLOCK:6 * BLOCK] = b'\2' * BLOCK
partial = Entry(1, 4, 1 << 1 | 1 << 5, b'\2' * 2 * BLOCK)
good('vmstate in order', VMSTATE + mkvma.extents(
    state[:2] + mkvma.clusters(B, 2) + state[2:]),
    {'vmstate.bin': STATE + b'\1' * 2 * BLOCK, 'disk-b.raw': B})
good('vmstate with partial masks', VMSTATE + mkvma.extents(
    state + mkvma.clusters(B, 2) + [partial]),
    {'vmstate.bin': STATE + b'\1' * 2 * BLOCK + bytes(14 * BLOCK) +
     bytes(blocks[:6 * BLOCK]), 'disk-b.raw': B})
good('vmstate larger than its estimate', mkvma.header(
    [(1, b'vmstate', 512)]) + mkvma.extents(state),
    {'vmstate.bin': STATE + b'\1' * 2 * BLOCK})
bad('vmstate out of order', VMSTATE + mkvma.extents(
    state[1:] + mkvma.clusters(B, 2)), DAMAGED,
    "device 'vmstate': cluster 1 is out of order, 0 was expected")
bad('vmstate twice', VMSTATE + mkvma.extents(
    state[:1] * 2 + mkvma.clusters(B, 2)), DAMAGED, 'out of order')

# Cuts, and more than an archive
bad('cut before the last extent', PLAIN[:-len(LAST)], INCOMPLETE,
    "clusters of device 'b' (first: ")
bad('cut before the first extent', HEADER, INCOMPLETE,
    "missing 130 of 130 clusters of device 'a' (first: 0), 71 of 71 clusters "
    "of device 'b' (first: 0); it was cut between two extents, or its writer "
    "died")
bad('cut inside an extent', PLAIN[:-5000], INCOMPLETE, 'ends in an extent')
bad("cut inside an extent's header", PLAIN[:-len(LAST) + 300], INCOMPLETE,
    "ends in an extent's header")
bad('cut inside the header', PLAIN[:9000], INCOMPLETE, 'ends in its header')
bad('cut inside the blob buffer', PLAIN[:12300], INCOMPLETE,
    'ends in its header')
bad('bytes after the end', PLAIN + b'x' * 100, DAMAGED,
    f'100 bytes at offset {len(PLAIN)} are no extent')
bad('zeroes after the end', PLAIN + bytes(4096), DAMAGED, 'this is no extent')
bad('another archive after the end', PLAIN * 2, DAMAGED, 'this is no extent')


def run(*args):
    return subprocess.run([RESTORE, *args], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)


def check(result, code, words):
    """What is wrong with a result, or None."""
    message = result.stderr.decode()
    if result.returncode != code:
        return f'exit code {result.returncode} and not {code}: {message}'
    if words not in message:
        return f'message without "{words}": {message}'
    return None


def check_files(folder, files):
    """FILES: name -> content; None: there must be no folder."""
    if files is None:
        return 'there is a folder' if os.path.exists(folder) else None
    if sorted(os.listdir(folder)) != sorted(files):
        return f'files {sorted(os.listdir(folder))} and not {sorted(files)}'
    for name, content in files.items():
        with open(os.path.join(folder, name), 'rb') as file:
            if file.read() != content:
                return f'{name} has wrong content'
    return None


def device_names(path):
    """The disks that an archive has, or none if its header is bad."""
    result = run('list', '--json', path)
    if result.returncode != OK:
        return []
    return [device['name'] for device in json.loads(result.stdout)['devices']]


def check_stream(path, code, words, files):
    """What is wrong with the disks on standard output, or None."""
    for name in device_names(path):
        result = run('extract', '-d', name + '=-', path)
        problem = check(result, code, words)
        file = 'vmstate.bin' if name == 'vmstate' else f'disk-{name}.raw'
        if not problem and result.stdout != (files[file] if files else b''):
            problem = 'wrong content'
        if problem:
            return f'disk {name} to standard output: {problem}'
    return None


def run_case(case, folder):
    name, data, verify_code, verify_words, code, words, files = case
    path, out = os.path.join(folder, 'x.vma'), os.path.join(folder, 'out')
    with open(path, 'wb') as file:
        file.write(data)
    result = run('verify', path)
    problem = check(result, verify_code, verify_words)
    if not problem and verify_code != OK and b' match their ' in result.stdout:
        problem = 'verify fails and prints that all is well'
    if problem:
        return 'verify: ' + problem
    result = run('extract', path, out)
    problem = check(result, code, words) or check_files(out, files)
    if not problem and code != OK:
        problem = check(result, code, 'nothing was restored: ')
    if problem:
        return 'extract: ' + problem
    if code == USAGE:
        return None
    return check_stream(path, code, words, files)


def main():
    failed = 0
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            problem = run_case(case, folder)
        if problem:
            print(f'{case[0]}: {problem}')
            failed += 1
    print(f'{len(CASES)} cases, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
