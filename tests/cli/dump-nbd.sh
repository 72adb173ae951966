#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Disks behind NBD URIs, over unix sockets and over TCP, mixed with images, are
# in the archive as their servers have them.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs nbdkit nbdcopy

head -c 5M /dev/urandom > image
truncate -s 40M file
head -c 3000000 /dev/urandom | dd of=file bs=4096 seek=2000 conv=notrunc \
    status=none
serve "$PWD/random.sock" sparse-random 64M seed=7 percent=20
serve "$PWD/file.sock" file file
nbdcopy "nbd+unix:///?socket=$T/random.sock" random || fail "no nbdcopy"
sources=(image=image random="nbd+unix:///?socket=$T/random.sock"
         file="nbd+unix:///?socket=$T/file.sock")
# A port that is taken is tried again with another.
for _ in {1..20}; do
    port=$((20000 + RANDOM % 10000))
    nbdkit -i 127.0.0.1 -p "$port" -P tcp.pid file image 2> nbdkit.err ||
        continue
    sources+=(tcp="nbd://127.0.0.1:$port")
    cp image tcp
    break
done
[ -e tcp ] || fail "no port"

expect_exit 0 "$VMA_DUMP" "${sources[@]}" > stream
kill "$(cat tcp.pid)"
expect_exit 0 "$VMA_SINK" -o a.vma < stream
expect_exit 0 "$VMA_RESTORE" extract a.vma out
for disk in image random file tcp; do
    cmp "$disk" "out/disk-$disk.raw" || fail "$disk"
done
