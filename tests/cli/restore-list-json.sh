#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# list --json prints one valid object whatever the names are, and both kinds of
# list say whether the end mark is there.
. "$(dirname "$0")/lib.sh"

"$VMA_SINK" -o ours.vma < "$(vector example)" 2> err || fail "no archive"
head -c -1 ours.vma > cut.vma
cat > names.py <<'END'
import sys
sys.path.insert(0, sys.argv[1])
import mkvma

names = [b'drive-scsi0', b'no \xff\xc3 utf-8', b'"\\\x01\x1b\n\x7f', '\u00e4\U0001f4be'.encode()]
header = mkvma.header([(i, n, 2**48 - 1) for i, n in enumerate(names, 7)],
                      [(b'c\xfe', b'12345'), (b'd', b'')])
open('names.vma', 'wb').write(header)
END
python3 names.py "$ROOT/tests/lib"

cat > check.py <<'END'
import json, os, sys

ours = json.load(open('ours'))
assert list(ours) == ['uuid', 'time', 'time-seconds', 'digests', 'end-mark',
                      'file-size', 'configs', 'devices'], list(ours)
assert ours['digests'] == 'xxh3' and ours['end-mark'] is True
assert ours['file-size'] == os.path.getsize('ours.vma')
cut = json.load(open('cut'))
assert cut['end-mark'] is False
assert cut['file-size'] == ours['file-size'] - 1
for name in 'end-mark', 'file-size':
    del cut[name], ours[name]
assert cut == ours
piped = json.load(open('piped'))
assert piped['end-mark'] is None and piped['file-size'] is None

names = json.load(open('names'))
assert names['uuid'] == '10111213-1415-1617-1819-1a1b1c1d1e1f'
assert names['time'] == '2023-11-14T22:13:20Z'
assert names['time-seconds'] == 1700000000
assert names['digests'] == 'none' and names['end-mark'] is None
assert names['devices'] == [
    {'id': 7, 'name': 'drive-scsi0', 'size': 2**48 - 1},
    {'id': 8, 'name': 'no \ufffd\ufffd utf-8', 'size': 2**48 - 1,
     'name-hex': b'no \xff\xc3 utf-8'.hex()},
    {'id': 9, 'name': '"\\\x01\x1b\n\x7f', 'size': 2**48 - 1},
    {'id': 10, 'name': '\u00e4\U0001f4be', 'size': 2**48 - 1}], names
assert names['configs'] == [
    {'name': 'c\ufffd', 'size': 5, 'name-hex': '63fe'},
    {'name': 'd', 'size': 0}], names
END
for name in ours cut names; do
    expect_exit 0 "$VMA_RESTORE" list --json $name.vma > $name
done
# shellcheck disable=SC2002 # this is about a pipe
cat ours.vma | expect_exit 0 "$VMA_RESTORE" list --json - > piped
python3 check.py || fail "$(cat ours names)"

digests() { # WORDS
    grep -qx "digests  $1" shown || fail "$(cat shown)"
}
expect_exit 0 "$VMA_RESTORE" list ours.vma > shown
digests 'XXH3, and an end mark'
expect_exit 0 "$VMA_RESTORE" list cut.vma > shown
digests 'XXH3, but the end mark is MISSING: the archive was cut'
# shellcheck disable=SC2002 # this is about a pipe
cat ours.vma | expect_exit 0 "$VMA_RESTORE" list - > shown
digests 'XXH3, and an end mark if it is whole (only of a file can that be seen)'
zstd -qc ours.vma > plain.zst
expect_exit 0 "$VMA_RESTORE" list plain.zst > shown
digests "XXH3, and an end mark if it is whole (the file has no seek table to find it by: 'verify' does)"
expect_exit 0 "$VMA_RESTORE" list names.vma > shown
digests none
