#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# -d NAME=- writes a disk in order to standard output, out of an archive in any
# order; each byte is verified, and a failure tells how far it came.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000000 1
"$mkvma" --image b.raw 3000320 2
truncate -s 3M zero.raw
"$mkvma" -s 1 x.vma a=a.raw b=b.raw zero=zero.raw

expect_exit 0 "$VMA_RESTORE" extract -d a=- x.vma > out
cmp out a.raw || fail "disk a differs"
expect_message 'standard output: 1 disk, 9.5 MiB (81% zero)'
expect_exit 0 "$VMA_RESTORE" extract --disk=b=- x.vma | cmp - b.raw ||
    fail "disk b differs through a pipe"
expect_exit 0 "$VMA_RESTORE" extract -d zero=- - < x.vma | cmp - zero.raw ||
    fail "a disk of zeroes differs"
# Standard input is a file whose start is not the archive's.
{ echo something before; cat x.vma; } > later
{ read -r _; expect_exit 0 "$VMA_RESTORE" extract -d b=- -; } < later > out
cmp out b.raw || fail "from the middle of a file it differs"
"$mkvma" state.vma a=a.raw vmstate=b.raw
expect_exit 0 "$VMA_RESTORE" extract -d vmstate=- state.vma > out
expect_exit 0 "$VMA_RESTORE" extract -d vmstate=mem state.vma
cmp out mem || fail "the memory is another than in a file"

# shellcheck disable=SC2002 # this is about a pipe
cat x.vma | expect_exit 2 "$VMA_RESTORE" extract -d a=- - > out
expect_message 'standard input: an archive is not in the order of its disks'
expect_message 'nothing was restored: '
for arguments in '-d a=- -d b=-' '-d a=- -d b=new' '-d a=- -d b'; do
    # shellcheck disable=SC2086 # several arguments
    expect_exit 2 "$VMA_RESTORE" extract $arguments x.vma > out
    expect_message 'must be the only one'
done
expect_exit 2 "$VMA_RESTORE" extract --salvage -d a=- x.vma > out
expect_exit 2 "$VMA_RESTORE" extract -d a=- x.vma new > out
expect_no_file new
[ ! -s out ] || fail "something was written"

# What a scan can see is seen before the first byte.
size=$(stat -c %s x.vma)
for bytes in $((size - 1)) 30000; do
    head -c $bytes x.vma > cut.vma
    expect_exit 4 "$VMA_RESTORE" extract -d a=- cut.vma > out
    expect_message 'nothing was restored: '
    [ ! -s out ] || fail "something was written"
done
expect_exit 1 "$VMA_RESTORE" extract -d a=- x.vma > /dev/full
expect_message 'No space left'
"$VMA_RESTORE" extract -d a=- x.vma 2> err | head -c 1 > /dev/null
[ "${PIPESTATUS[0]}" = 1 ] || fail "a reader that ends is no error: $(cat err)"

# A flipped bit is seen when its extent is read: what was written is right.
head -c 20M /dev/urandom > c.raw
"$VMA_DUMP" c=c.raw 2> /dev/null | "$VMA_SINK" -o c.vma || fail "no archive"
printf 'x' | dd of=c.vma bs=1 seek=12000000 conv=notrunc status=none
expect_exit 3 "$VMA_RESTORE" extract -d c=- c.vma > out
expect_message 'its data does not match its digest'
bytes=$(stat -c %s out)
expect_message "only the first $bytes bytes of disk 'c' were written: "
[ "$bytes" -gt 0 ] || fail "nothing was written"
cmp -n "$bytes" out c.raw || fail "wrong bytes were written"

if ! script -qec true /dev/null > /dev/null 2>&1; then
    echo "without a terminal: no program 'script'"
    exit 0
fi
script -qec "'$VMA_RESTORE' extract -d a=- x.vma" /dev/null > out
[ $? = 2 ] || fail "writes to a terminal"
grep -q 'to a terminal' out || fail "$(cat out)"
