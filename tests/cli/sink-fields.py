#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Each field of each struct of a stream, set to what is wrong: with the check over
it left as it was, which finds it; and with the check made right again, where
the field's own rule finds it or it does no harm.

The structs are read from the sources, and a field without a row, or without a
test vector in its place, is a failure.
"""
import importlib.util
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import namedtuple

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, ROOT + '/tests/lib')
sys.dont_write_bytecode = True
import cstructs  # noqa: E402

B = os.environ.get('B', ROOT + '/build')
SINK = os.environ.get('VMA_SINK', B + '/vma-sink')
OK, DAMAGED, INCOMPLETE = 0, 3, 4
FORMAT = cstructs.load(ROOT + '/vma-sink/wire/format.h')

spec = importlib.util.spec_from_file_location(
    'vectors', ROOT + '/tests/data/make-stream-vectors.py')
v = importlib.util.module_from_spec(spec)
spec.loader.exec_module(v)
VECTORS = {vector[0]: vector[1] for vector in v.VECTORS}

# The worked example of wire-format.md, with one record more where that has none
# of a type.
EXAMPLE = v.EXAMPLE
PREAMBLE = len(v.EX_PRE)
DATA = PREAMBLE
ZERO = DATA + len(v.EX_DATA)
DEVICE_END = ZERO + len(v.EX_ZERO)
END = DEVICE_END + len(v.EX_DEV)
IGNORABLE = (v.EX_PRE + v.record(200, 7, 5, 9, b'anything', hash_value=3)
             + v.EX_DATA + v.EX_ZERO + v.EX_DEV + v.end(4, 1, 1, 512))
ABORT = v.EX_PRE + v.abort(2, b'by hand')
HASHED = (v.preamble([v.device(1, 'a', 512)], features=1)
          + v.record(v.DATA, 1, 0, 1, v.HALF, hashed=True) + v.REST)
HASHED_DATA = len(HASHED) - len(v.REST) - 512 - 32


def check_preamble(data):
    size = struct.unpack_from('>I', data, 12)[0]
    return (data[:size - 4] + struct.pack('>I', zlib.crc32(data[:size - 4]))
            + data[size:])


def check_at(start, size):
    def check(data):
        return (data[:start] + v.checked(data[start:start + size - 4])
                + data[start + size:])
    return check


# The stream, the struct and where it stands, and what makes its check right.
Place = namedtuple('Place', 'base struct offset check words')
PREAMBLE_WORDS = 'check of the preamble is wrong'
PLACES = {
    name: Place(EXAMPLE, name, offset, check_preamble, PREAMBLE_WORDS)
    for name, offset in (('WirePreamble', 0), ('WireDevice', 64),
                         ('WireConfig', 0x58),
                         ('WirePreambleTail', PREAMBLE - 8))}
for place, stream, at in (
        ('DATA', EXAMPLE, DATA), ('ZERO', EXAMPLE, ZERO),
        ('DEVICE_END', EXAMPLE, DEVICE_END), ('END', EXAMPLE, END),
        ('ignorable', IGNORABLE, PREAMBLE), ('ABORT', ABORT, PREAMBLE),
        ('hashed DATA', HASHED, HASHED_DATA)):
    PLACES[place] = Place(stream, 'WireRecord', at, check_at(at, 32),
                          'check of the header is wrong')
PAYLOAD_WORDS = 'check of the payload is wrong'
PLACES['WireDeviceEnd'] = Place(EXAMPLE, 'WireDeviceEnd', DEVICE_END + 32,
                                check_at(DEVICE_END + 32, 24), PAYLOAD_WORDS)
PLACES['WireEnd'] = Place(EXAMPLE, 'WireEnd', END + 32, check_at(END + 32, 48),
                          PAYLOAD_WORDS)
# The payload of ABORT has no struct.
PLACES['reason'] = Place(ABORT, None, PREAMBLE + 32,
                         check_at(PREAMBLE + 32, 15), PAYLOAD_WORDS)
REASON = cstructs.Struct(15, {
    'reason': cstructs.Field(0, 4, 1), 'message': cstructs.Field(4, 1, 7),
    'check': cstructs.Field(11, 4, 1)})
# No input: tests/cli/sink-answer.sh and qemu/ read what vma-sink writes.
OUTPUTS = ['WireAnswer']

# code, words: with the right check; code None: there is no such case, or VECTOR
# is it.  wrong: words with the wrong check, if another check comes first.
Row = namedtuple('Row', 'place field value code words vector wrong same')
ROWS = []


def row(name, value, words, code=DAMAGED, wrong=None):
    place, _, field = name.rpartition('.')
    ROWS.append(Row(place, field, value, code, words, None, wrong, True))


def harmless(name, value, why, same=True):
    """SAME: the archive is that of the unchanged stream."""
    assert why
    place, _, field = name.rpartition('.')
    ROWS.append(Row(place, field, value, OK, '', None, None, same))


def vector(name, value, *vectors, wrong=None):
    """VECTORS have it with the right check, so here it is the wrong one."""
    place, _, field = name.rpartition('.')
    assert all(VECTORS[x] != 'ok' for x in vectors)
    ROWS.append(Row(place, field, value, None, '', vectors, wrong, True))


def check_itself(name):
    """Changed alone, a check is wrong."""
    place, _, field = name.rpartition('.')
    ROWS.append(Row(place, field, 0x01020304, None, '', None, None, True))


vector('WirePreamble.magic', b'\x89QBS\n\n\n\n', 'bad-magic',
       wrong='not a QEMU backup stream')
vector('WirePreamble.version', 2, 'version-2', wrong='has version 2')
vector('WirePreamble.preamble_bytes', PREAMBLE + 8, 'preamble-too-large',
       'preamble-size-odd', 'preamble-slack')
row('WirePreamble.preamble_bytes', 64, 'bad preamble size 64',
    wrong='bad preamble size 64')
row('WirePreamble.preamble_bytes', PREAMBLE - 8, 'entries')
vector('WirePreamble.features', 1, 'feature-unknown')
row('WirePreamble.features', 1, 'the hash of the payload is wrong')
vector('WirePreamble.cluster_bytes', 4096, 'cluster-size')
vector('WirePreamble.device_count', 2, 'no-device', 'entry-past-end')
row('WirePreamble.device_count', 255, 'bad device count 255')
row('WirePreamble.device_count', 2, 'device')
vector('WirePreamble.config_count', 257, 'configs-257')
row('WirePreamble.config_count', 0, 'entries are shorter')
row('WirePreamble.config_count', 2, 'entries')
vector('WirePreamble.start_time_ns', 10**9, 'start-ns')
harmless('WirePreamble.start_time_ns', 999999999, 'an archive has seconds')
harmless('WirePreamble.start_time_s', 1, 'it is the time of the archive',
         same=False)
vector('WirePreamble.uuid', bytes(16), 'uuid-zero')
row('WirePreamble.uuid', b'\1' * 16, 'the check of the header is wrong')
vector('WirePreamble.reserved', b'\0' * 7 + b'\1', 'preamble-reserved')

vector('WireDevice.device_id', 255, 'device-0', 'device-255', 'device-id-twice')
row('WireDevice.device_id', 2, 'there is no device id 1')
vector('WireDevice.reserved1', 1, 'device-reserved')
vector('WireDevice.name_bytes', 0, 'device-name-empty', 'device-name-too-long')
row('WireDevice.name_bytes', 4, 'padding')
row('WireDevice.name_bytes', 6, 'name')
row('WireDevice.name_bytes', 65535, 'entries are longer')
vector('WireDevice.reserved2', 1, 'device-reserved-2')
vector('WireDevice.size_bytes', 513, 'device-size-odd', 'device-too-large')
row('WireDevice.size_bytes', 65536, 'beyond the end')
row('WireDevice.size_bytes', 131072, 'bad payload size 512, not 65536')
row('WireDevice.size_bytes', 2**64 - 512, 'bad size')

row('WireConfig.name_bytes', 0, 'name')
row('WireConfig.name_bytes', 8, 'entries')
vector('WireConfig.reserved', 1, 'config-reserved')
vector('WireConfig.data_bytes', 65536, 'config-too-large')
row('WireConfig.data_bytes', 8, 'padding')
row('WireConfig.data_bytes', 10, 'entries')
row('WireConfig.data_bytes', 2**32 - 1, 'more than 65535')

vector('WirePreambleTail.reserved', 1, 'preamble-tail')
check_itself('WirePreambleTail.check')

# Every type of record
for place in ('DATA', 'ZERO', 'DEVICE_END', 'END', 'ignorable', 'ABORT',
              'hashed DATA'):
    row(place + '.magic', b'QBSx', 'this is no record header',
        wrong='this is no record header')
    check_itself(place + '.check')
    if place != 'ignorable':
        row(place + '.reserved', 1, 'reserved field of the header')
for place in ('DATA', 'ZERO', 'DEVICE_END', 'END', 'ABORT'):
    row(place + '.type', 0, 'unknown record type 0')
    row(place + '.type', 127, 'unknown record type 127')
    row(place + '.payload_hash', 1, 'payload hash where none may be')
row('hashed DATA.payload_hash', 1, 'the hash of the payload is wrong')
row('hashed DATA.payload_hash', 0, 'the hash of the payload is wrong')

row('DATA.type', 2, 'bad payload size 512, not 0')
row('ZERO.type', 1, 'bad payload size 0, not 65536')
row('DEVICE_END.type', 4, 'device id 1 in a record of no device')
row('END.type', 3, 'there is no device id 0')
row('END.type', 5, 'bad message in the abort record')
row('ABORT.type', 4, 'bad payload size 15')
row('hashed DATA.type', 2, 'payload hash where none may be')
row('DATA.device_id', 0, 'there is no device id 0')
row('ZERO.device_id', 255, 'there is no device id 255')
row('DEVICE_END.device_id', 2, 'there is no device id 2')
vector('END.device_id', 1, 'end-with-device')
vector('ABORT.device_id', 1, 'abort-with-device')
row('hashed DATA.device_id', 2, 'there is no device id 2')
row('DATA.cluster_number', 0, 'bad payload size 512, not 65536')
row('DATA.cluster_number', 2, 'beyond the end')
row('ZERO.cluster_number', 1, 'second time')
vector('ZERO.cluster_number', 2**32 - 1, 'run-overflow')
vector('DEVICE_END.cluster_number', 1, 'device-end-with-number')
row('END.cluster_number', 1, 'cluster fields')
row('ABORT.cluster_number', 1, 'cluster fields')
row('hashed DATA.cluster_number', 1, 'beyond the end')
row('DATA.cluster_count', 0, 'bad cluster count 0')
row('DATA.cluster_count', 2, 'beyond the end')
row('ZERO.cluster_count', 2, 'second time')
vector('ZERO.cluster_count', 0, 'run-empty')
vector('DEVICE_END.cluster_count', 1, 'device-end-with-run')
row('END.cluster_count', 1, 'cluster fields')
row('ABORT.cluster_count', 1, 'cluster fields')
row('hashed DATA.cluster_count', 65, 'bad cluster count 65')
vector('DATA.payload_bytes', 256, 'payload-short', 'payload-padded')
vector('ZERO.payload_bytes', 512, 'zero-with-payload')
vector('DEVICE_END.payload_bytes', 16, 'device-end-size')
row('END.payload_bytes', 47, 'bad payload size 47')
row('END.payload_bytes', 2**32 - 1, 'bad payload size')
row('ABORT.payload_bytes', 7, 'bad payload size 7')
vector('ABORT.payload_bytes', 1033, 'abort-too-long')
row('hashed DATA.payload_bytes', 1024, 'bad payload size 1024, not 512')

for field, value in (('type', 128), ('type', 255), ('device_id', 1),
                     ('device_id', 255), ('reserved', 1), ('payload_hash', 0),
                     ('payload_hash', 2**64 - 1), ('cluster_number', 2**32 - 1),
                     ('cluster_count', 2**32 - 1)):
    harmless('ignorable.' + field, value, '[R2] lets it have any value')
row('ignorable.type', 127, 'payload hash where none may be')
row('ignorable.payload_bytes', 0, 'this is no record header')
vector('ignorable.payload_bytes', 65537, 'ignorable-too-large')
row('ignorable.payload_bytes', 65536, 'in a payload', code=INCOMPLETE)

vector('WireDeviceEnd.data_clusters', 2, 'device-data-clusters')
vector('WireDeviceEnd.zero_clusters', 2, 'device-zero-clusters')
row('WireDeviceEnd.data_clusters', 2**64 - 1, 'totals')
row('WireDeviceEnd.zero_clusters', 2**64 - 1, 'totals')
vector('WireDeviceEnd.reserved', 1, 'device-end-reserved')
check_itself('WireDeviceEnd.check')

vector('WireEnd.records', 4, 'end-records')
vector('WireEnd.data_clusters', 2, 'end-data-clusters')
vector('WireEnd.zero_clusters', 2, 'end-zero-clusters')
vector('WireEnd.data_bytes', 513, 'end-bytes')
row('WireEnd.records', 2**64 - 1, 'totals')
row('WireEnd.data_bytes', 2**64 - 1, 'totals')
harmless('WireEnd.end_time_s', 2**63, 'an archive does not have it')
vector('WireEnd.end_time_ns', 10**9, 'end-ns')
harmless('WireEnd.end_time_ns', 999999999, 'an archive does not have it')
check_itself('WireEnd.check')

# An aborted stream is never whole, whatever its reason says.
row('reason.reason', 1, 'a disk could not be read: by hand', code=INCOMPLETE)
row('reason.reason', 0, 'it failed: by hand', code=INCOMPLETE)
row('reason.reason', 2**32 - 1, 'it failed: by hand', code=INCOMPLETE)
row('reason.message', b'\x1b[31m[0', 'bad message')
check_itself('reason.check')


def field_of(r):
    place = PLACES[r.place]
    fields = (FORMAT[place.struct] if place.struct else REASON).fields
    return fields[r.field]


def with_value(r):
    place, field = PLACES[r.place], field_of(r)
    start, size = place.offset + field.offset, field.bytes * field.count
    value = r.value
    if isinstance(value, int):
        value = value.to_bytes(size, 'big')
    assert len(value) == size and place.base[start:start + size] != value, r
    return place.base[:start] + value + place.base[start + size:]


def missing_rows():
    """A row for each field of each struct, for records in each type of them."""
    have = {(r.place, r.field) for r in ROWS}
    used = {place.struct for place in PLACES.values()}
    missing = [name for name in FORMAT if name not in used
               and name not in OUTPUTS]
    missing += [name + '.' + field for name, place in PLACES.items()
                for field in (FORMAT[place.struct] if place.struct
                              else REASON).fields
                if (name, field) not in have]
    assert len(FORMAT) == 8 and len(have) > 90
    return missing


def sink(data):
    """Exit code, message and the archive, if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run([SINK, '-o', 'a.vma'], input=data, cwd=folder,
                                capture_output=True, timeout=60, check=False)
        archive = None
        if os.listdir(folder) == ['a.vma']:
            with open(os.path.join(folder, 'a.vma'), 'rb') as file:
                archive = file.read()
        elif os.listdir(folder):
            archive = os.listdir(folder)
        return result.returncode, result.stderr.decode(), archive


def problem_of(data, code, words, archive):
    got, message, made = sink(data)
    if got != code:
        return f'exit code {got}, not {code}: {message}'
    if code != OK and words not in message:
        return f'no message with "{words}": {message}'
    if code != OK and made is not None:
        return 'a file is left'
    if archive is not None and made != archive:
        return 'another archive'
    return None


def main():
    failed = missing_rows()
    count = 0
    for name in failed:
        print(f'{name}: no row')
    archives = {base: sink(base)[2] for base in (EXAMPLE, IGNORABLE, HASHED)}
    for r in ROWS:
        place, data = PLACES[r.place], with_value(r)
        count += 1
        problem = problem_of(data, DAMAGED, r.wrong or place.words, None)
        problem = problem and 'with the wrong check: ' + problem
        if r.code is not None and not problem:
            count += 1
            problem = problem_of(place.check(data), r.code, r.words,
                                 archives[place.base]
                                 if r.code == OK and r.same else None)
        if problem:
            failed.append(r)
            print(f'{r.place}.{r.field} = {r.value}: {problem}')
    print(f'{len(ROWS)} rows, {count} streams, {len(failed)} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
