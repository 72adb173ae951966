#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# extract -d reads only what holds the disks it names: damage elsewhere does not
# disturb it, and damage there restores nothing; where there is no index it
# reads and checks everything.
. "$(dirname "$0")/lib.sh"

head -c 5000192 /dev/urandom > a.raw
{ head -c 1M /dev/zero; head -c 20M /dev/urandom; } > c.raw
"$VMA_DUMP" a=a.raw c=c.raw 2> /dev/null > stream || fail "no stream"
"$VMA_SINK" -o x.vma < stream || fail "no archive"
"$VMA_SINK" -o x.vma.zst < stream || fail "no compressed archive"

# An archive with a byte of disk c overwritten, as random data is as large when
# it is compressed.
damage() { # ARCHIVE
    cp "$1" bad
    printf 'damaged' | dd of=bad bs=1 seek=15000000 conv=notrunc status=none
}

for archive in x.vma x.vma.zst; do
    expect_exit 0 "$VMA_RESTORE" extract -d a "$archive" out
    cmp a.raw out/disk-a.raw || fail "disk a differs"
    rm -r out
    expect_exit 0 "$VMA_RESTORE" extract -d c=c.img -T 2 "$archive"
    cmp c.raw c.img || fail "disk c differs"
    rm c.img

    damage "$archive"
    expect_exit 0 "$VMA_RESTORE" extract -d a=a.img bad
    cmp a.raw a.img || fail "disk a differs"
    expect_exit 3 "$VMA_RESTORE" extract -d c=c.img bad
    expect_message 'nothing was restored: '
    expect_message 'extent at offset '
    expect_exit 3 "$VMA_RESTORE" extract -d c bad new
    expect_exit 3 "$VMA_RESTORE" extract -d a -d c bad new
    expect_exit 3 "$VMA_RESTORE" extract bad new
    # All of it is read from a pipe, and to salvage.
    # shellcheck disable=SC2002
    cat bad | expect_exit 3 "$VMA_RESTORE" extract -d a - new
    expect_no_file new c.img c.img.*
    expect_exit 3 "$VMA_RESTORE" extract --salvage -d a=new bad
    cmp a.raw new || fail "disk a is salvaged wrongly"
    rm new a.img

    # A cut is seen without reading the rest.
    head -c -1 "$archive" > short.vma
    expect_exit 4 "$VMA_RESTORE" extract -d a=new short.vma
    head -c 20000000 "$archive" > short.vma
    expect_exit 4 "$VMA_RESTORE" extract -d a=new short.vma
    expect_no_file new
done

# Without an index everything is checked; a damaged one is not used.
damage x.vma
zstd -q bad -o foreign.zst
expect_exit 3 "$VMA_RESTORE" extract -d a=new foreign.zst
zstd -q x.vma -o good.zst
expect_exit 0 "$VMA_RESTORE" extract -d a=new good.zst
cmp a.raw new || fail "without an index disk a differs"
rm new
magic=$(grep -abo 'VMA+SEEK' x.vma.zst | tail -1 | cut -d: -f1)
[ -n "$magic" ] || fail "no index"
cp x.vma.zst bad
printf x | dd of=bad bs=1 seek=$((magic + 40)) conv=notrunc status=none
expect_exit 0 "$VMA_RESTORE" extract -d a=new bad
expect_message 'all of the archive is read'
cmp a.raw new || fail "with a damaged index disk a differs"
rm new

# Bytes read, of this shell's children: a twelfth of the archive is wanted.
[ -r /proc/self/io ] || { echo "bytes read are not known here"; exit 0; }
for archive in x.vma x.vma.zst; do
    # shellcheck disable=SC2016 # the inner shell's
    read_bytes=$(sh -c '"$VMA_RESTORE" extract -d a=new "$1" 2> /dev/null
                        sed -n "s/rchar: //p" /proc/$$/io' sh "$archive")
    # The shell's own and the libraries' are in there, too.
    [ "$read_bytes" -lt 12000000 ] ||
        fail "$archive: $read_bytes bytes were read"
    cmp a.raw new || fail "disk a differs"
    rm new
done
