#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A regular archive is restored bit for bit, from a file and from a pipe, and
# what was not stored is a hole.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000000 1
"$mkvma" --image b.raw 300000 2
truncate -s 300M hole.raw
printf 'name: x\n' > vm.conf
"$mkvma" x.vma -c qemu-server.conf=vm.conf drive-scsi0=a.raw drive-scsi1=b.raw
"$mkvma" -s 1 y.vma a=a.raw b=b.raw

expect_exit 0 "$VMA_RESTORE" extract x.vma out
expect_message 'out: 2 disks, 9.8 MiB ('
cmp a.raw out/disk-drive-scsi0.raw || fail "disk 0 differs"
cmp b.raw out/disk-drive-scsi1.raw || fail "disk 1 differs"
cmp vm.conf out/qemu-server.conf || fail "config differs"
[ "$(find out -type f | wc -l)" = 3 ] || fail "files: $(ls out)"

# A slow pipe gives short reads.
{ head -c 20001 x.vma; sleep 0.1; tail -c +20002 x.vma; } |
    expect_exit 0 "$VMA_RESTORE" extract - piped
diff -r out piped || fail "from a pipe it differs"
expect_exit 0 "$VMA_RESTORE" extract - shuffled < y.vma
cmp a.raw shuffled/disk-a.raw || fail "a shuffled disk differs"

"$mkvma" hole.vma hole=hole.raw
expect_exit 0 "$VMA_RESTORE" extract hole.vma sparse
expect_message '300.0 MiB (100% zero)'
[ "$(stat -c %s sparse/disk-hole.raw)" = 314572800 ] || fail "wrong size"
[ "$(stat -c %b sparse/disk-hole.raw)" -lt 100 ] || fail "not a hole"
