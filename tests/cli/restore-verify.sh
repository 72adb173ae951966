#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# verify says what it has checked, and what it can't see.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000000 1
"$mkvma" --image b.raw 70000 2
"$mkvma" x.vma drive-scsi0=a.raw b=b.raw
"$mkvma" state.vma vmstate=a.raw

cat > expected <<'EOF'
 id           bytes   clusters        device
  1        10000000        153  ok    drive-scsi0
  2           70000          2  ok    b

EOF
expect_exit 0 "$VMA_RESTORE" verify x.vma > out
head -n 4 out | diff expected - || fail "another result"
grep -q 'has no checksums' out || fail "nothing on flipped bits"
expect_exit 0 "$VMA_RESTORE" verify - < state.vma > out
grep -q 'vmstate is an estimate' out || fail "nothing on vmstate"

# A gap in a vmstate is told, and what comes behind it is not.
python3 - <<'EOF'
data = bytearray(open('state.vma', 'rb').read())
first = int.from_bytes(data[56:60], 'big')
blocks = int.from_bytes(data[first + 6:first + 8], 'big')
data[first + 512 + 4096 * blocks] ^= 1
open('gap.vma', 'wb').write(data)
EOF
expect_exit 3 "$VMA_RESTORE" verify gap.vma > out
grep -q 'LOST  vmstate$' out || fail "vmstate is called whole"
[ "$(grep -c "^lost: disk 'vmstate'" out)" = 1 ] || fail "not one gap"
[ "$(grep -c '^damage: ' out)" -le 3 ] || fail "what is behind it is told, too"
