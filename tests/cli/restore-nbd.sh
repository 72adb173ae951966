#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk restored to an NBD export is there bit for bit, whatever the server can
# do, and so into a qcow2 image; what does not fit is refused before a write.
. "$(dirname "$0")/lib.sh"

for program in qemu-nbd qemu-img qemu-io nbdkit; do
    command -v $program > /dev/null || skip "no $program"
done
mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000384 1
"$mkvma" --image b.raw 3000320 2
"$mkvma" -s 1 x.vma a=a.raw b=b.raw
"$mkvma" odd.vma odd=<(head -c 10000 b.raw)

# A qcow2 image with old contents, and more of it than the disk has.
qemu-img create -q -f qcow2 x.qcow2 12M
qemu-io -f qcow2 -c 'write -P 0xff 0 12M' x.qcow2 > /dev/null
qemu-nbd -f qcow2 --fork --socket="$T/socket" x.qcow2 || fail "no qemu-nbd"
uri="nbd+unix:///?socket=$T/socket"
expect_exit 0 "$VMA_RESTORE" extract --force -d "a=$uri" x.vma
expect_message "is larger than the disk: its last 2582528 bytes are left"
expect_message "$uri: 1 disk, 9.5 MiB (81% zero)"
cp a.raw expected
head -c 2582528 /dev/zero | tr '\0' '\377' >> expected
# (qemu-nbd ends when its client has left, and lets go of the image then.)
for _ in {1..500}; do
    qemu-img compare -f qcow2 -F raw x.qcow2 expected > out 2>&1 && break
    sleep 0.01
done
grep -q identical out || fail "another image: $(cat out)"
qemu-img check -q x.qcow2 || fail "the image is damaged"

# A new one of the right size takes no room for zeroes.
qemu-img create -q -f qcow2 new.qcow2 10000384
qemu-nbd -f qcow2 --fork --socket="$T/socket" new.qcow2 || fail "no qemu-nbd"
expect_exit 0 "$VMA_RESTORE" extract --force --zeroed -d "a=$uri" x.vma
! grep -q larger err || fail "$(cat err)"
for _ in {1..500}; do
    qemu-img compare -f qcow2 -F raw new.qcow2 a.raw > out 2>&1 && break
    sleep 0.01
done
grep -q identical out || fail "another image: $(cat out)"

# Restores disk a to an nbdkit with ARGUMENTS over old contents, and compares.
served() { # ARGUMENT...
    head -c 10000384 /dev/zero | tr '\0' '\377' > store
    # shellcheck disable=SC2016 # $uri is nbdkit's
    expect_exit 0 nbdkit -U - "$@" --run \
        '"$VMA_RESTORE" extract --force -d "a=$uri" x.vma'
    cmp store a.raw || fail "wrong content with $*"
}
served file store
served --filter=log file store logfile=log
grep -q ' Zero .* trim=1' log || fail "no zeroes that may be holes"
grep -q ' Flush ' log || fail "no flush"
# (A request is logged when it begins; several have begun before one has ended.)
awk '/ Write id=[0-9]+ /{ n++; if (n > m) m = n } /\.\.\.Write id=/{ n-- }
     END { exit m < 2 }' log || fail "one request after another"
served --filter=nozero --filter=log file store zeromode=none logfile=log
! grep -q ' Zero ' log || fail "zeroes by request from a server without them"
served --filter=blocksize-policy file store blocksize-minimum=512 \
    blocksize-preferred=4096 blocksize-maximum=64K blocksize-error-policy=error

# Two exports in one go.
cp expected store
truncate -s 3000320 store2
nbdkit -U "$T/one" -P one.pid file store
nbdkit -U "$T/two" -P two.pid file store2
trap 'kill $(cat one.pid two.pid); cleanup' EXIT
one="nbd+unix:///?socket=$T/one"
two="nbd+unix:///?socket=$T/two"
expect_exit 0 "$VMA_RESTORE" extract -f -d "a=$one" -d "b=$two" - < x.vma
cmp store expected || fail "disk a differs"
cmp store2 b.raw || fail "disk b differs"

# What the server can't flush is said.
# shellcheck disable=SC2016
expect_exit 0 nbdkit -U - eval get_size='echo 3000320' pwrite='cat >/dev/null' \
    can_write='exit 0' can_flush='exit 3' pread='exit 1' \
    --run '"$VMA_RESTORE" extract -f -d "b=$uri" x.vma'
expect_message "can't flush"

# What a damaged archive has lost is zeroes there.
"$VMA_DUMP" a=a.raw 2> /dev/null | "$VMA_SINK" -o ours.vma || fail "no archive"
printf 'x' | dd of=ours.vma bs=1 seek=1500000 conv=notrunc status=none
expect_exit 3 "$VMA_RESTORE" extract --salvage -d a=salvaged ours.vma
head -c 10000384 expected | tr '\0' '\377' > store
expect_exit 3 "$VMA_RESTORE" extract -f --salvage -d "a=$one" ours.vma
expect_message 'restored what is whole: '
cmp -n 10000384 store salvaged || fail "another content than in a file"

untouched() {
    cmp store2 b.raw || fail "it was written to"
    expect_message 'nothing was restored: '
}
expect_exit 2 "$VMA_RESTORE" extract -d "b=$two" x.vma
expect_message "the contents of '$two' would be overwritten (--force"
untouched
expect_exit 2 "$VMA_RESTORE" extract -f -d "a=$two" x.vma
expect_message "is too small: it has 3000320 bytes, the disk has 10000384"
untouched
expect_exit 2 "$VMA_RESTORE" extract -f -d "b=$two" -d "a=$two" x.vma
expect_message 'named as the target of two disks'
untouched
# The same export by other words.
ln -s "$T" "$T/folder"
for other in "nbd+unix:///?socket=$T/folder/two" "nbds+unix://me@/?socket=two" \
    "nbd+unix://?socket=${T//\//%2F}/./two"; do
    expect_exit 2 "$VMA_RESTORE" extract -f -d "b=$two" -d "a=$other" x.vma
    expect_message 'named as the target of two disks'
    untouched
done
expect_exit 2 "$VMA_RESTORE" extract -f -d a=nbd://HOST/x \
    -d b=nbds://me:secret@host:10809/%78 x.vma
expect_message "'nbds://me@host:10809/%78' is named as the target of two disks"
expect_exit 1 "$VMA_RESTORE" extract -f -d a=nbd://me:secret@localhost:1/ x.vma
expect_message "cannot connect to 'nbd://me@localhost:1/': "
! grep -q secret err || fail "the password is shown"
expect_exit 2 "$VMA_RESTORE" extract -d a=nbd://me:secret@localhost:1/ x.vma
expect_message "the contents of 'nbd://me@localhost:1/' would be overwritten"
expect_exit 1 "$VMA_RESTORE" extract -f -d "b=$two" \
    -d "a=nbd+unix:///?socket=$T/none" x.vma
expect_message "cannot connect to 'nbd+unix:///?socket=$T/none': "
untouched
# shellcheck disable=SC2016
expect_exit 2 nbdkit -U - -r memory 12M \
    --run '"$VMA_RESTORE" extract -f -d "a=$uri" x.vma'
expect_message 'is read-only'
# shellcheck disable=SC2016
expect_exit 2 nbdkit -U - --filter=blocksize-policy memory 12M \
    blocksize-minimum=512 \
    --run '"$VMA_RESTORE" extract -f -d "odd=$uri" odd.vma'
expect_message 'can only be written in units of 512 bytes'
expect_exit 1 "$VMA_RESTORE" extract -f -d "a=nbd://" x.vma
