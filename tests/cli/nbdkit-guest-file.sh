#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One file comes out of a guest's file system in an archive, and a guest's disk
# can be an overlay over it, without the disk being restored.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
needs qemu-img qemu-io mke2fs debugfs

# A file system with a file that is known.
mkdir files
head -c 300000 /dev/urandom > files/known
truncate -s 64M disk.raw
mke2fs -q -t ext4 -d files disk.raw || fail "no file system"
"$VMA_DUMP" disk=disk.raw 2> /dev/null | "$VMA_SINK" -o x.vma.zst 2> /dev/null ||
    fail "no archive"
serve socket "$PLUGIN" x.vma.zst
uri="nbd+unix:///?socket=$T/socket"

# An overlay takes what is written; the rest is the archive's.
qemu-img create -q -f qcow2 -b "$uri" -F raw over.qcow2 || fail "no overlay"
qemu-io -f qcow2 -c 'write -P 0xaa 1M 64k' -c 'write -P 0xbb 40000000 4k' \
    over.qcow2 > out || fail "cannot write: $(cat out)"
cp disk.raw expected
head -c 64K /dev/zero | tr '\0' '\252' |
    dd of=expected bs=1M seek=1 conv=notrunc status=none
head -c 4K /dev/zero | tr '\0' '\273' |
    dd of=expected bs=64K oflag=seek_bytes seek=40000000 conv=notrunc status=none
qemu-img compare -f qcow2 -F raw over.qcow2 expected > out ||
    fail "the overlay: $(cat out)"
nbdcopy "$uri" out || fail "no copy"
cmp out disk.raw || fail "the archive's disk has changed"

# A guest's disk becomes independent of the archive: all is in the image then.
qemu-img rebase -q -f qcow2 -b '' over.qcow2 || fail "cannot rebase"
kill "$(cat socket.pid)"
wait
qemu-img compare -f qcow2 -F raw over.qcow2 expected > out ||
    fail "without the archive: $(cat out)"

# debugfs wants a file, which FUSE makes of an export.
command -v nbdfuse > /dev/null || skip "no nbdfuse"
[ -w /dev/fuse ] || skip "no FUSE: a file in a file system is not read"
mkdir mounted
rm -f socket socket.pid
serve socket "$PLUGIN" x.vma.zst
nbdfuse -r mounted "$uri" 2> err &
fuse=$!
for _ in {1..250}; do
    [ -e mounted/nbd ] && break
    kill -0 $fuse 2> /dev/null || break
    sleep 0.02
done
[ -e mounted/nbd ] || skip "no FUSE here: $(tail -n 1 err)"
debugfs -R 'cat /known' mounted/nbd > known 2> /dev/null
kill $fuse
wait $fuse
cmp known files/known || fail "the file is another one"
