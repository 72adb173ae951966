#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Compressed archives are read as plain ones are, by every command, from files
# and pipes: ours of any level and frame size, and what zstd makes of any.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000384 1
"$mkvma" --image b.raw 3000320 2
echo 'name: x' > conf
"$mkvma" -s 1 -c conf=conf foreign.vma a=a.raw b=b.raw
"$VMA_DUMP" -c conf a=a.raw b=b.raw > stream 2> err || fail "no stream"
"$VMA_SINK" -o ours.vma < stream 2> err || fail "$(cat err)"

same_disks() { # ARCHIVE
    cmp out/disk-a.raw a.raw || fail "$1: another a"
    cmp out/disk-b.raw b.raw || fail "$1: another b"
}
restore() { # COMMAND ARGUMENTS...
    expect_exit 0 "$VMA_RESTORE" "$@"
}
# Whatever a plain archive gives its compressed one gives.
reads() { # ARCHIVE PLAIN ORDERED: 0, where -d NAME=- is possible
    # Whether there is an end mark only a file at whose end one can look tells.
    restore list "$1" | sed 's/, and an end mark.*//' > left
    restore list "$2" | sed 's/, and an end mark.*//' | diff - left ||
        fail "$1: another list"
    restore config "$1" | cmp - conf || fail "$1: another config"
    # That many frames have no seek table is for a line of its own.
    restore verify "$1" | sed '/^The file has no seek table/,$d' > left
    restore verify "$2" | diff - left || fail "$1: another verdict"
    restore extract "$1" out
    same_disks "$1"
    cmp out/conf conf || fail "$1: another config"
    rm -r out
    restore extract -d b "$1" out
    [ "$(ls out)" = disk-b.raw ] || fail "$1: more than one disk"
    cmp out/disk-b.raw b.raw || fail "$1: another b alone"
    rm -r out
    restore extract -d a=a.new -d b "$1" out
    cmp a.new a.raw || fail "$1: another a in a file"
    rm -r out a.new
    expect_exit "$3" "$VMA_RESTORE" extract -d a=- "$1" > a.new
    [ "$3" != 0 ] || cmp a.new a.raw || fail "$1: another a in order"
    rm a.new
    restore extract --salvage "$1" out
    same_disks "$1"
    rm -r out
    # From a pipe, of which nobody knows the end.
    for command in list config verify; do
        "$VMA_RESTORE" $command - < <(cat "$2") > left 2> err
        "$VMA_RESTORE" $command - < <(cat "$1") 2> err | diff - left ||
            fail "$1: another $command through a pipe"
    done
    restore extract - out < <(cat "$1")
    same_disks "$1, pipe"
    rm -r out
    restore extract --salvage - out < <(cat "$1")
    same_disks "$1, pipe, salvage"
    rm -r out
    expect_exit 2 "$VMA_RESTORE" extract -d a=- - < <(cat "$1") > left
}

for options in '--compress=zstd:-7' '--compress=zstd:19 --frame-size=1' \
    '--frame-size=64K' '--frame-size=32M'; do
    # shellcheck disable=SC2086 # several options
    expect_exit 0 "$VMA_SINK" $options -o x.vma.zst < stream
    echo "$options" >&2
    reads x.vma.zst ours.vma 0
    rm x.vma.zst
done
for plain in ours.vma foreign.vma; do
    # By one frame, several threads, and a frame for a part.
    # (Of a file zstd knows the size, of a pipe it does not.)
    zstd -q $plain -o sized.zst
    zstd -qc < <(cat $plain) > one.zst
    zstd -qc -1 -T2 -B64K --no-check < <(cat $plain) > threads.zst
    split -b 300000 $plain part.
    for part in part.*; do
        zstd -qc "$part"
    done > many.zst
    rm part.*
    # What others put into skippable frames, before, between and behind.
    skippable='\x5a\x2a\x4d\x18\x03\x00\x00\x00abc'
    { cat many.zst; printf '%b' "$skippable$skippable"; } > behind.zst
    { printf '%b' "$skippable"; cat many.zst; } > before.zst
    { head -c 2000000 $plain | zstd -qc; printf '%b' "$skippable"
      tail -c +2000001 $plain | zstd -qc; } > between.zst
    for file in one threads between; do
        reads $file.zst $plain 2
    done
    # Frames that have their sizes in them need no table.
    for file in sized many behind before; do
        reads $file.zst $plain 0
    done
    rm ./*.zst
done

# An archive is not cut that goes on with a frame that lacks its size, or with
# what is none.
head -c 500000 ours.vma > start
tail -c +500001 ours.vma | head -c 500000 > middle
tail -c +1000001 ours.vma > end
zstd -qc start > start.zst
zstd -qc middle >> start.zst
{ cat start.zst; zstd -qc < end; } > sizeless.zst
{ cat start.zst end; } > garbage.zst
refuses() { # EXIT-CODE WORDS FILE
    for command in 'map -d a' 'extract -d a=-' 'extract -d a=- --range 4K:1'; do
        # shellcheck disable=SC2086 # several words
        expect_exit "$1" "$VMA_RESTORE" $command "$3" > left
        grep -q "$2" err || fail "$3, $command: $(cat err)"
    done
}
refuses 2 'frame at offset [0-9]* of the file does not have its' sizeless.zst
refuses 3 'at offset [0-9]* of the file is no frame of zstd' garbage.zst
refuses 4 'is cut' start.zst
reads sizeless.zst ours.vma 2
rm start middle end ./*.zst

# With others' seek table: the index is missing, so the archive is scanned.
python3 - foreign.vma > table.zst <<'PYTHON' || fail "no file with a table"
import struct, subprocess, sys
plain, table = open(sys.argv[1], 'rb').read(), b''
for at in range(0, len(plain), 100000):
    part = plain[at:at + 100000]
    frame = subprocess.run(['zstd', '-qc'], input=part, check=True,
                           stdout=subprocess.PIPE).stdout
    # With checksums that nobody has to look at.
    table += struct.pack('<III', len(frame), len(part), 0)
    sys.stdout.buffer.write(frame)
sys.stdout.buffer.write(
    struct.pack('<II', 0x184d2a5e, len(table) + 9) + table +
    struct.pack('<IBI', len(table) // 12, 0x80, 0x8f92eab1))
PYTHON
reads table.zst foreign.vma 0
