#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# verify goes on past damage and names every lost range; extract --salvage
# restores exactly the rest, and without --salvage nothing is restored.
. "$(dirname "$0")/lib.sh"

# Two disks in one archive of several extents, with holes.
truncate -s 40M a.raw
head -c 20M /dev/urandom | dd of=a.raw bs=1M seek=7 conv=notrunc status=none
head -c 9000000 /dev/urandom > b.raw
truncate -s 9000448 b.raw
"$VMA_DUMP" a=a.raw b=b.raw 2> /dev/null | "$VMA_SINK" -o whole.vma || fail

# Damages an archive in each of some ways; prints the way's exit code.
cat > damage.py <<'END'
import sys

way, source, target = sys.argv[1:]
data = bytearray(open(source, 'rb').read())
uuid = bytes(data[8:24])
extents = []
offset = int.from_bytes(data[56:60], 'big')
while offset < len(data):
    extents.append(offset)
    offset += 512 + 4096 * int.from_bytes(data[offset + 6:offset + 8], 'big')
code = 3
if way == 'data':
    data[extents[3] + 512 + 70000] ^= 1
elif way == 'header':
    data[extents[2] + 60] ^= 16
elif way == 'first':
    data[extents[0]] ^= 1
elif way == 'several':
    data[extents[1] + 512] ^= 1
    data[extents[4] + 45] ^= 1
    data[extents[5] + 600] ^= 4
elif way == 'zeroed':
    data[extents[2] + 1000:extents[3] + 2000] = bytes(
        extents[3] + 2000 - extents[2] - 1000)
elif way == 'lost':
    del data[extents[2]:extents[3]]
elif way == 'swapped':
    data[extents[1]:extents[3]] = (data[extents[2]:extents[3]] +
                                   data[extents[1]:extents[2]])
elif way == 'cut':
    del data[extents[4] + 100000:]
    code = 4
elif way == 'cut-at-extent':
    del data[extents[4]:]
    code = 4
elif way == 'cut-end-mark':
    del data[extents[-1]:]
    code = 4
open(target, 'wb').write(data)
print(code)
END

# What is outside of the lost ranges is right, what is inside reads as zeroes.
cat > compare.py <<'END'
import re, sys

lost = {'a': [], 'b': []}
for line in open(sys.argv[1]):
    m = re.match(r"lost: disk '(.)', bytes (\d+) to (\d+) \((\d+) cl", line)
    if m:
        lost[m[1]].append((int(m[2]), int(m[3]) + 1))
        assert (int(m[3]) - int(m[2])) // 65536 + 1 == int(m[4]), line
for name, ranges in lost.items():
    expected = bytearray(open(name + '.raw', 'rb').read())
    for start, end in ranges:
        expected[start:end] = bytes(end - start)
    got = open(f'{sys.argv[2]}/disk-{name}.raw', 'rb').read()
    assert got == expected, name
print(sum(end - start for r in lost.values() for start, end in r))
END

for way in data header first several zeroed lost swapped cut cut-at-extent \
    cut-end-mark; do
    code=$(python3 damage.py "$way" whole.vma x.vma)
    expect_exit "$code" "$VMA_RESTORE" verify x.vma > verified
    grep -q '^damage: ' verified || fail "$way: no finding"
    expect_exit "$code" "$VMA_RESTORE" extract x.vma out
    expect_message 'nothing was restored: '
    expect_no_file out
    expect_exit "$code" "$VMA_RESTORE" extract --salvage - out < x.vma
    expect_message 'restored what is whole: '
    bytes=$(python3 compare.py err out) || fail "$way: wrong content"
    # All but the end mark cost something, and no more than some extents.
    case $way in
    cut-end-mark | swapped) [ "$bytes" = 0 ] || fail "$way: $bytes lost" ;;
    cut*) [ "$bytes" -gt 0 ] || fail "$way: $bytes lost" ;;
    *)
        if [ "$bytes" -eq 0 ] || [ "$bytes" -gt $((59 * 65536 * 4)) ]; then
            fail "$way: $bytes lost"
        fi
        ;;
    esac
    diff <(grep ^lost verified) <(grep ^lost err) || fail "$way: they differ"
    rm -r out
done

expect_exit 0 "$VMA_RESTORE" verify whole.vma > verified
grep -q 'all data match their checksums' verified || fail "not all was checked"
expect_exit 0 "$VMA_RESTORE" extract --salvage whole.vma out
for name in a b; do
    cmp "$name.raw" "out/disk-$name.raw" || fail "wrong content"
done
