#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A frame that wants more memory than zstd takes by itself is named as what it
# is, and what --salvage has until then is kept.
. "$(dirname "$0")/lib.sh"

advice='zstd -d --long=31'

"$ROOT/tests/lib/mkvma.py" --image a.raw 10000384 1
"$VMA_DUMP" a=a.raw 2> err | "$VMA_SINK" -o plain.vma 2> err ||
    fail "$(cat err)"

# From a pipe zstd does not know how little the window would be.
zstd -q --long=28 < plain.vma > long.vma.zst
zstd -q < plain.vma > short.vma.zst
expect_exit 0 "$VMA_RESTORE" verify short.vma.zst > out
refused() { # CODE COMMAND ARGUMENTS...
    expect_exit "$1" "$VMA_RESTORE" "${@:2}" < long.vma.zst > out
    grep -q -e "$advice" out err || fail "no advice"
}
refused 3 list -
refused 3 extract - restored
# Who reads on finds nothing more.
refused 4 verify -
refused 4 extract --salvage - restored
[ ! -e restored ] || fail "something of nothing"
zstd -q -d --long=31 -c long.vma.zst | expect_exit 0 "$VMA_RESTORE" verify - > out

# The first half as it was, the second in such a frame.
{ head -c 1000000 plain.vma | zstd -q
  tail -c +1000001 plain.vma | zstd -q --long=28
} > half.vma.zst
expect_exit 3 "$VMA_RESTORE" extract half.vma.zst restored
expect_message "$advice"
[ ! -e restored ] || fail "restored from damage"
expect_exit 3 "$VMA_RESTORE" extract --salvage half.vma.zst restored
cmp -n 1000000 restored/disk-a.raw a.raw || fail "the first half is lost"

# A large frame of a file with a seek table takes no more than it holds.
yes 'the same again' | head -c 50M > b.raw
"$VMA_DUMP" b=b.raw 2> err | "$VMA_SINK" -o plain.vma --force 2> err ||
    fail "$(cat err)"
zstd -q --long=29 < plain.vma > table.vma.zst
python3 - plain.vma table.vma.zst << 'END'
import os
import struct
import sys
frame = struct.pack('<II', os.path.getsize(sys.argv[2]),
                    os.path.getsize(sys.argv[1]))
with open(sys.argv[2], 'ab') as file:
    file.write(struct.pack('<II', 0x184d2a5e, len(frame) + 9) + frame +
               struct.pack('<IBI', 1, 0, 0x8f92eab1))
END
for options in "" --salvage; do
    # shellcheck disable=SC2086 # none or one
    expect_exit 0 "$VMA_RESTORE" extract -f $options table.vma.zst restored
    cmp restored/disk-b.raw b.raw || fail "not the same"
done
expect_exit 0 "$VMA_RESTORE" extract -d b=- table.vma.zst > out
cmp out b.raw || fail "not the same in order"
