#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# As many disks and configs as an archive can have are stored and restored with
# the usual limit of open files; and a file without any permission is replaced.
. "$(dirname "$0")/lib.sh"
ulimit -n 1024

head -c 4608 /dev/urandom > disk.raw
echo text > conf
disks=() configs=()
for ((i = 0; i < 254; i++)); do
    disks+=("disk-$i=disk.raw")
done
for ((i = 0; i < 256; i++)); do
    configs+=(-c "conf=conf-$i")
done
"$VMA_DUMP" "${configs[@]}" "${disks[@]}" > stream 2> err ||
    fail "$(cat err)"
touch a.vma
chmod 0 a.vma
expect_exit 0 "$VMA_SINK" --force -o a.vma < stream
chmod 600 a.vma
expect_exit 0 "$VMA_RESTORE" verify a.vma > out
expect_exit 0 "$VMA_RESTORE" extract a.vma new
[ "$(find new -type f | wc -l)" = 510 ] || fail "not all is there"
for file in new/disk-*; do
    cmp "$file" disk.raw || fail "wrong content"
done
