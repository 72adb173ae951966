#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-restore map shows exactly the blocks of 4 KiB that are not zero, of a plain
# archive and of a compressed one, in every form.
. "$(dirname "$0")/lib.sh"

# 8 MiB and a bit: 64 KiB at 192 KiB, 8 KiB at 1 MiB + 4 KiB, the last 512 bytes.
truncate -s 8389120 disk
put() { # BYTES OFFSET
    head -c "$1" /dev/zero | tr '\0' x |
        dd of=disk bs=512 seek=$(($2 / 512)) conv=notrunc status=none
}
put 65536 196608
put 8192 1052672
put 512 8388608
truncate -s 1M other
"$VMA_DUMP" d=disk e=other > stream 2> err || fail "$(cat err)"
for archive in x.vma x.vma.zst; do
    "$VMA_SINK" -o $archive < stream 2> err || fail "$(cat err)"
    "$VMA_RESTORE" map -d d $archive > out 2> err || fail "$(cat err)"
    cat > wanted <<'END'
offset              length
0x30000             0x10000
0x101000            0x2000
0x800000            0x200
72.5 KiB of 8.0 MiB are stored, the rest is zeroes
END
    diff wanted out > difference || fail "$archive: $(cat difference)"
    "$VMA_RESTORE" map -d d --output=json $archive > out || fail "no JSON"
    python3 - <<'END' || fail "$archive: $(cat out)"
import json
runs = json.load(open("out"))
disk = open("disk", "rb").read()
at = 0
for run in runs:
    assert run["start"] == at and run["length"] > 0
    at += run["length"]
    part = disk[run["start"]:at]
    assert run["data"] != run["zero"] and run["present"] and run["depth"] == 0
    assert run["zero"] == (not any(part))
assert at == len(disk) and len(runs) == 6
END
    "$VMA_RESTORE" map -d d --output=picture $archive > out || fail "no picture"
    cat > wanted <<END
    0 bytes  ...#............-...............................................
    4.0 MiB  ................................................................
    8.0 MiB  #
each is 64.0 KiB:  # stored  + more than half  - less  . zeroes
END
    diff wanted out > difference || fail "$archive: $(cat difference)"
    "$VMA_RESTORE" map -d e --output=json $archive > out || fail "no JSON"
    [ "$(grep -c start out)" = 1 ] || fail "$(cat out)"
done
expect_exit 2 "$VMA_RESTORE" map x.vma
expect_message 'the archive has 2 disks: which one? (--disk=NAME)'
expect_exit 2 "$VMA_RESTORE" map -d none x.vma
expect_exit 2 "$VMA_RESTORE" map -d d --output=none x.vma
head -c 50000 x.vma > cut.vma
expect_exit 4 "$VMA_RESTORE" map -d d cut.vma
expect_exit 2 "$VMA_RESTORE" map -d d - < <(cat x.vma)
