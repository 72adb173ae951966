#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --disk restores only the disks it names, in one go, and no configs.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
for i in 1 2 3; do
    "$mkvma" --image $i.raw 300000 $i
done
printf 'name: x\n' > vm.conf
"$mkvma" x.vma -c vm.conf=vm.conf a=1.raw b=2.raw c=3.raw

expect_exit 0 "$VMA_RESTORE" extract -d c --disk=a x.vma out
expect_message 'out: 2 disks, '
[ "$(ls out)" = $'disk-a.raw\ndisk-c.raw' ] || fail "files: $(ls out)"
cmp 1.raw out/disk-a.raw || fail "disk a differs"
cmp 3.raw out/disk-c.raw || fail "disk c differs"

expect_exit 2 "$VMA_RESTORE" extract -d a -d none x.vma new
expect_message "the archive has no disk 'none'"
expect_exit 2 "$VMA_RESTORE" extract -d vm.conf x.vma new
head -c -1 x.vma > cut.vma
expect_exit 4 "$VMA_RESTORE" extract -d a cut.vma new
expect_no_file new
