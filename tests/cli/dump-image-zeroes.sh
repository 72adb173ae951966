#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Holes and clusters of allocated zeroes become runs of zeroes, as long as
# possible; a cluster with a single other byte is data.
. "$(dirname "$0")/lib.sh"

put() { # OFFSET BYTES
    head -c "$2" /dev/zero | tr '\0' x |
        dd of=disk bs=64K iflag=fullblock seek="$1" oflag=seek_bytes \
            conv=notrunc status=none
}
# Clusters: 0 to 39, of which 10 to 29 are allocated zeroes, and the last is
# short.
truncate -s $((39 * 65536 + 1024)) disk
dd if=/dev/zero of=disk bs=64K seek=10 count=20 conv=notrunc status=none
put $((3 * 65536 + 65535)) 2                # end of 3, start of 4
put $((20 * 65536 + 4096)) 1                # within the allocated zeroes
put $((30 * 65536)) $((2 * 65536))
put $((39 * 65536 + 1023)) 1
expect_exit 0 "$VMA_DUMP" d=disk > stream
mkdir got
"$ROOT/tests/lib/qbs.py" got < stream > list || fail "stream"
cmp disk got/d || fail "contents"
# Where a run of data is split depends on the chunks that are read.
awk '$1 == "data" && kind == "data" && $3 == next_cluster {
         next_cluster += $4; count += $4; next
     }
     kind { print kind, first, count }
     { kind = ""; }
     $1 == "data" || $1 == "zero" {
         kind = $1; first = $3; count = $4; next_cluster = $3 + $4
     }
     END { print kind, first, count }' list > runs
diff runs - << END || fail "runs"
zero 0 3
data 3 2
zero 5 15
data 20 1
zero 21 9
data 30 2
zero 32 7
data 39 1
END

# Nothing but zeroes, allocated or not, is one record.
for kind in hole data; do
    rm disk
    truncate -s $((100 * 65536 + 512)) disk
    [ $kind = hole ] || dd if=/dev/zero of=disk bs=512 count=12801 status=none
    "$VMA_DUMP" d=disk 2> /dev/null | "$ROOT/tests/lib/qbs.py" |
        grep -v '^[fd]' > list
    [ "$(cat list)" = "zero 1 0 101" ] || fail "$kind: $(cat list)"
done
