#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# reindex makes of any archive, compressed by whomever, the one that vma-sink
# would have written, with or without compression; sorted if asked to; and of a
# bad one nothing.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000000 1
"$mkvma" --image b.raw 3000320 2
truncate -s 30M zero.raw
echo 'name: x' > conf
"$mkvma" -s 1 -c conf=conf foreign.vma a=a.raw b=b.raw zero=zero.raw
"$VMA_DUMP" -c conf a=a.raw b=b.raw zero=zero.raw > stream 2> err ||
    fail "no stream"
expect_exit 0 "$VMA_SINK" -o ours.vma < stream
expect_exit 0 "$VMA_SINK" -o ours.vma.zst < stream

reindex() { # ARGUMENTS...
    expect_exit 0 "$VMA_RESTORE" reindex "$@"
}
is_foreign() { # ARCHIVE: it has the contents of the foreign one, and digests
    local disk
    expect_exit 0 "$VMA_RESTORE" verify "$1" > text
    grep -q 'all data match their checksums' text || fail "$1: no digests"
    "$VMA_RESTORE" list "$1" | grep -v '^digests\|^end mark\|^file' > left
    "$VMA_RESTORE" list foreign.vma | grep -v '^digests\|^end mark\|^file' |
        diff - left || fail "$1: another description"
    expect_exit 0 "$VMA_RESTORE" extract -f "$1" out
    for disk in a b zero; do
        cmp "out/disk-$disk.raw" "$disk.raw" || fail "$1: another $disk"
    done
    cmp out/conf conf || fail "$1: another config"
    rm -r out
}

# Ours come out as they were, through any of their forms.
for from in ours.vma ours.vma.zst; do
    reindex $from x.vma
    cmp x.vma ours.vma || fail "$from: not the plain one"
    reindex $from x.vma.zst
    cmp x.vma.zst ours.vma.zst || fail "$from: not the compressed one"
    reindex -f --sort $from x.vma.zst
    cmp x.vma.zst ours.vma.zst || fail "$from, sorted: they were in order"
    rm x.vma x.vma.zst
done
expect_message "x.vma.zst: 3 disks, 42.4 MiB"
for options in '--compress=zstd:9 -T 1' '--frame-size=1 --compress=zstd:1' \
    '--frame-size=32M'; do
    # shellcheck disable=SC2086 # several options
    expect_exit 0 "$VMA_SINK" $options -o sink.zst < stream
    # shellcheck disable=SC2086
    reindex $options ours.vma x.zst
    cmp x.zst sink.zst || fail "$options: not as vma-sink's"
    rm x.zst sink.zst
done

# Foreign ones, from files and pipes.
zstd -q foreign.vma -o one.zst
head -c 1000000 foreign.vma | zstd -qc > many.zst
tail -c +1000001 foreign.vma | zstd -qc >> many.zst
for from in foreign.vma one.zst many.zst; do
    reindex "$from" x.vma.zst
    expect_message "'$from': the data has no checksums"
    is_foreign x.vma.zst
    reindex - y.vma.zst < <(cat "$from")
    cmp x.vma.zst y.vma.zst || fail "$from: another one through a pipe"
    rm x.vma.zst y.vma.zst
done
reindex foreign.vma x.vma
is_foreign x.vma
# Not larger, but for the end mark.
[ "$(stat -c %s x.vma)" -le $(($(stat -c %s foreign.vma) + 512)) ] ||
    fail "it has grown"
rm x.vma
reindex foreign.vma - > x.vma 2> err
is_foreign x.vma
rm x.vma

# Sorted they are in the order of vma-dump; a file only.
order() { # ARCHIVE: its clusters
    python3 - "$1" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], 'rb').read()
at, = struct.unpack_from('>I', data, 56)
while at < len(data):
    for i in range(59):
        _, _, device, number = struct.unpack_from('>HBBI', data,
                                                  at + 40 + 8 * i)
        if device:
            print(device, number)
    at += 512 + 4096 * struct.unpack_from('>H', data, at + 6)[0]
PYTHON
}
order foreign.vma > ordered
sort -c -n -k1,1 -k2,2 ordered 2> sorted && fail "it is in order already"
reindex foreign.vma random.vma.zst
for from in foreign.vma random.vma.zst - ; do
    reindex --sort "$from" x.vma < foreign.vma
    is_foreign x.vma
    order x.vma | diff - <(sort -n -k1,1 -k2,2 ordered) ||
        fail "$from: not in order"
    rm x.vma
done
reindex random.vma.zst x.vma
order x.vma | diff - ordered || fail "the order has changed"
rm x.vma
# Frames without a seek table are found, unless they lack their sizes.
python3 - <<'PYTHON'
import os, sys
sys.path.insert(0, os.environ['ROOT'] + '/tests/lib')
sys.dont_write_bytecode = True
import seekable
data = open('random.vma.zst', 'rb').read()
index = seekable.read_table(data)[-1]
table = index.offset + index.size
def write(name, *parts):
    open(name, 'wb').write(b''.join(parts))
write('index.zst', data[:index.offset])
write('table.zst', data[:table])
write('entry.zst', data[:table + 17], b'\xff', data[table + 18:])
write('magic.zst', data[:-1], b'x')
write('frame.zst', data[:index.offset - 1])
write('flip.zst', data[:5000], b'\xff\xff\xff', data[5003:index.offset])
PYTHON
head -c 1000000 foreign.vma > start
tail -c +1000001 foreign.vma > rest
zstd -qc start rest > sizes.zst
for from in one.zst sizes.zst index.zst table.zst entry.zst magic.zst; do
    reindex --sort $from x.vma
    is_foreign x.vma
    order x.vma | diff - <(sort -n -k1,1 -k2,2 ordered) ||
        fail "$from: not in order"
    rm x.vma
done
# That the end of the file is missing is told, and no failure.
told() { # FILE COMMAND...
    expect_exit 0 "${@:2}"
    [ "$(grep -c "'$1': the file has no seek table (any more)" err)" = 1 ] ||
        fail "not told: $*"
}
for from in index.zst table.zst; do
    told $from "$VMA_RESTORE" reindex --sort $from x.vma
    told $from "$VMA_RESTORE" reindex -f $from x.vma
    told $from "$VMA_RESTORE" extract $from out
    told $from "$VMA_RESTORE" extract -f --salvage $from out
    told $from "$VMA_RESTORE" extract -f -d b $from out
    rm -r x.vma out
done
for from in one.zst random.vma.zst; do
    expect_exit 0 "$VMA_RESTORE" extract $from out
    ! grep -q 'no seek table' err || fail "$from has all of its file"
    rm -r out
done
expect_exit 4 "$VMA_RESTORE" reindex --sort frame.zst x.vma
expect_exit 3 "$VMA_RESTORE" reindex --sort flip.zst x.vma
zstd -qc start > mixed.zst
zstd -qc < <(cat rest) >> mixed.zst
for from in many.zst mixed.zst; do
    expect_exit 2 "$VMA_RESTORE" reindex --sort $from x.vma
    expect_message 'can be sorted (first make one without --sort)'
done
expect_exit 2 "$VMA_RESTORE" reindex --sort - x.vma < <(cat foreign.vma)
expect_no_file x.vma*

# All blocks stored: zeroes are left out, and the padding behind the end.
python3 - > full.vma <<'PYTHON'
import os, sys
sys.path.insert(0, os.environ['ROOT'] + '/tests/lib')
sys.dont_write_bytecode = True
import mkvma
disk = open('b.raw', 'rb').read()
entries = [mkvma.cluster(disk, 7, i, True) for i in range(46)]
# Clusters behind the end, and the last block's end is not zero.
last = entries[-1]
entries[-1] = last._replace(data=last.data[:-1] + b'x')
entries += [mkvma.Entry(7, i, 0, b'') for i in range(46, 64)]
sys.stdout.buffer.write(mkvma.header([(7, b'b', len(disk))]) +
                        mkvma.extents(entries))
PYTHON
for sort in '' --sort; do
    # shellcheck disable=SC2086 # an option or none
    reindex $sort full.vma x.vma
    python3 - <<'PYTHON' || fail "not as the simple reader wants it"
import os, sys
sys.path.insert(0, os.environ['ROOT'] + '/tests/lib')
sys.dont_write_bytecode = True
import simplevma
_, time, disks, _ = simplevma.read(open('x.vma', 'rb').read()[:-512])
assert time == 1700000000
assert disks == {'b': open('b.raw', 'rb').read()}
PYTHON
    rm x.vma
done

# What is there is not replaced, nor is the archive by half of itself.
echo old > x.vma
expect_exit 2 "$VMA_RESTORE" reindex foreign.vma x.vma
[ "$(cat x.vma)" = old ] || fail "it was replaced"
reindex -f foreign.vma x.vma
is_foreign x.vma
cp foreign.vma x.zst
expect_exit 2 "$VMA_RESTORE" reindex x.zst x.zst
for sort in '' --sort; do
    # shellcheck disable=SC2086 # an option or none
    reindex -f $sort x.zst x.zst
    is_foreign x.zst
done
cp x.zst y.zst
# shellcheck disable=SC2094 # nothing is written
expect_exit 2 "$VMA_RESTORE" reindex x.zst - >> x.zst
expect_message 'is the archive itself'
cmp x.zst y.zst || fail "it was written to"
rm x.vma x.zst y.zst

# A bad archive leaves nothing.
bad() { # CODE FILE
    local sort
    for sort in '' --sort; do
        # shellcheck disable=SC2086 # an option or none
        expect_exit "$1" "$VMA_RESTORE" reindex $sort "$2" x.vma.zst
        expect_no_file x.vma.zst*
        cp foreign.vma x.vma.zst
        # shellcheck disable=SC2086
        expect_exit "$1" "$VMA_RESTORE" reindex -f $sort "$2" x.vma.zst
        cmp x.vma.zst foreign.vma || fail "$2: what was there is gone"
        expect_no_file x.vma.zst.*
        rm x.vma.zst
    done
}
head -c -512 ours.vma > bad.vma
bad 4 bad.vma
head -c 1500000 ours.vma > bad.vma
bad 4 bad.vma
cp ours.vma bad.vma
printf x | dd of=bad.vma bs=1 seek=1000000 conv=notrunc status=none
bad 3 bad.vma
cp ours.vma.zst bad.vma.zst
printf xyz | dd of=bad.vma.zst bs=1 seek=1000000 conv=notrunc status=none
bad 3 bad.vma.zst
cp ours.vma bad.vma
printf x | dd of=bad.vma bs=1 seek=30 conv=notrunc status=none
bad 3 bad.vma
bad 1 nothing.vma
head -c 1500000 one.zst > cut.zst
expect_exit 4 "$VMA_RESTORE" reindex cut.zst x.vma
expect_exit 4 "$VMA_RESTORE" reindex - x.vma < /dev/null
expect_no_file x.vma*

# An index that is wrong is made anew; through it nothing is read.
python3 - <<'PYTHON'
data = bytearray(open('ours.vma.zst', 'rb').read())
at = data.rindex(b'VMA+SEEK')
data[at + 100] ^= 1
open('index.vma.zst', 'wb').write(data)
PYTHON
expect_exit 3 "$VMA_RESTORE" verify index.vma.zst > text
for sort in '' --sort; do
    # shellcheck disable=SC2086 # an option or none
    reindex $sort index.vma.zst x.vma.zst
    cmp x.vma.zst ours.vma.zst || fail "not the right index"
    rm x.vma.zst
done

"$mkvma" state.vma a=a.raw vmstate=b.raw
expect_exit 2 "$VMA_RESTORE" reindex state.vma x.vma
expect_message "the guest's memory ('vmstate')"
expect_exit 2 "$VMA_RESTORE" reindex ours.vma
expect_exit 2 "$VMA_RESTORE" reindex ours.vma x.vma y
expect_exit 2 "$VMA_RESTORE" reindex --compress=gzip ours.vma x.vma
expect_exit 1 "$VMA_RESTORE" reindex ours.vma nowhere/x.vma
# shellcheck disable=SC2094 # nothing is written
expect_exit 1 "$VMA_RESTORE" reindex --compress=zstd ours.vma - > /dev/full
expect_no_file x.vma*

# Progress: of the archive, and where it is sorted of the disks after that.
expect_exit 0 "$VMA_RESTORE" reindex --progress=json --sort random.vma.zst x.vma
expect_message '"phase":"verifying"'
expect_message '"phase":"done"'
expect_no_file ./*.partial
