#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each disk of an archive is a read-only export with its name, size and holes;
# an only disk, or the one that was asked for, is the default export.
# shellcheck disable=SC2016 # $uri and the like are nbdkit's
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
make_archives

expect() { # WORDS
    grep -qF -- "$1" out || fail "not '$1' in: $(cat out)"
}

with_plugin 'nbdinfo --list "$uri"' shuffled.vma > out || fail "no list"
expect 'export="a":'
expect 'description: 9.5 MiB (10000384 bytes)'
expect 'export-size: 10000384'
expect 'export="b":'
expect 'description: 2.9 MiB (3000320 bytes)'
expect 'is_read_only: true'
expect 'can_multi_conn: true'
! grep -q 'is_read_only: false' out || fail "it can be written to"

# Several disks and no default, one asked for, and an only one.
! with_plugin 'nbdinfo --size "$uri"' shuffled.vma > out 2>&1 ||
    fail "some default: $(cat out)"
with_plugin 'nbdinfo --size "$uri"' device=b shuffled.vma > out
[ "$(cat out)" = 3000320 ] || fail "another default"
"$mkvma" one.vma one=b.raw
with_plugin 'nbdinfo --size "$uri"' one.vma > out
[ "$(cat out)" = 3000320 ] || fail "an only disk is not the default"
! with_plugin 'nbdinfo --size "nbd+unix:///c?socket=$unixsocket"' \
    shuffled.vma > out 2>&1 || fail "an export that is not there"
expect "the archive has no disk 'c'"

# The guest's memory ends where its data does: its size is an estimate.
python3 - "$ROOT/tests/lib" <<'END' || fail "no archive with a vmstate"
import sys
sys.path.insert(0, sys.argv[1])
import mkvma
memory = open('a.raw', 'rb').read(3 * 65536)
entries = [mkvma.cluster(memory, 1, i, True) for i in range(3)]
open('memory', 'wb').write(memory)
open('state.vma', 'wb').write(
    mkvma.header([(1, b'vmstate', 1 << 30)]) + mkvma.extents(entries))
END
with_plugin 'nbdcopy "$uri" out' state.vma || fail "no copy of the memory"
cmp out memory || fail "another memory"

# What the map says to be a hole is one, and only that; every block of 4 KiB of
# zeroes is.
for archive in shuffled.vma ours.vma.zst; do
    for disk in a b; do
        with_plugin 'nbdinfo --json --map "$uri"' device=$disk $archive > map ||
            fail "no map"
        python3 - $disk.raw map <<'END' || fail "$archive: the map of $disk"
import json, sys
data = open(sys.argv[1], 'rb').read()
at, kinds = 0, set()
for e in json.load(open(sys.argv[2])):
    assert e['offset'] == at and e['length'] > 0, e
    part = data[at:at + e['length']]
    at += e['length']
    assert e['type'] in (0, 3), e
    kinds.add(e['type'])
    blocks = [part[i:i + 4096] for i in range(0, len(part), 4096)]
    assert all(any(b) == (e['type'] == 0) for b in blocks), e
assert at == len(data) and kinds == {0, 3}
END
    done
done
