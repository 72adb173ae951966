#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --range gives these bytes of a disk and no others, with holes for zeroes, to a
# file or standard output; a range beyond the disk, or that nobody can restore,
# has exit code 2.
. "$(dirname "$0")/lib.sh"

{ head -c 3M /dev/urandom; head -c 9M /dev/zero; head -c 1000448 /dev/urandom; } \
    > a.raw
head -c 5M /dev/urandom > b.raw
"$VMA_DUMP" a=a.raw b=b.raw 2> /dev/null > stream || fail "no stream"
"$VMA_SINK" -o x.vma < stream || fail "no archive"
"$VMA_SINK" -o x.vma.zst < stream || fail "no compressed archive"
size=$(stat -c %s a.raw)

for archive in x.vma x.vma.zst; do
    for range in 0:1 "0:$size" 1:4095 4095:2 4096:4096 65535:70001 3M:1M 10M:2M \
        3145000:9438000 $((size - 1)):1 $((size - 5000)):5000; do
        offset=$(numfmt --from=iec "${range%:*}")
        bytes=$(numfmt --from=iec "${range#*:}")
        tail -c +$((offset + 1)) a.raw | head -c "$bytes" > expected
        expect_exit 0 "$VMA_RESTORE" extract -f -d a=new --range "$range" \
            "$archive" 2> /dev/null
        cmp new expected || fail "$archive: $range differs"
        expect_exit 0 "$VMA_RESTORE" extract --range="$range" -d a=- \
            "$archive" > new 2> /dev/null
        cmp new expected || fail "$archive: $range differs in order"
    done
    rm new

    for range in "0:$((size + 1))" "$size:1" 1G:1 1:16777215T 16777215T:1; do
        expect_exit 2 "$VMA_RESTORE" extract -d a=new --range "$range" \
            "$archive"
        expect_message "disk 'a' has $size bytes: the range ends behind them"
    done
    for range in '' 1 : 1: :1 0:0 x:1 1:x -1:1 1:-1 1:2:3 0:18446744073709551616
    do
        expect_exit 2 "$VMA_RESTORE" extract -d a=new --range "$range" \
            "$archive"
    done
    expect_exit 2 "$VMA_RESTORE" extract --range 0:1 "$archive" new
    expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -d a "$archive" new
    expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -d a=new -d b=old "$archive"
    expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -d a=new --salvage \
        "$archive"
    expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -f \
        -d a=nbd://localhost/ "$archive"
    expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -f -d "a=$archive" "$archive"
    expect_message 'is the archive itself'
    expect_no_file new old
    touch new
    expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -d a=new "$archive"
    expect_message 'file exists'
    rm new
    # shellcheck disable=SC2002 # this is about a pipe
    cat "$archive" | expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -d a=new -
    expect_no_file new

    # Damage in another part of the disk does not disturb, and here leaves none.
    cp "$archive" bad
    printf x | dd of=bad bs=1 seek=1500000 conv=notrunc status=none
    expect_exit 3 "$VMA_RESTORE" extract --range 1M:1M -d a=new bad
    expect_message 'nothing was restored: '
    expect_no_file new new.*
    expect_exit 3 "$VMA_RESTORE" extract --range 1M:1M -d a=- bad > out
    expect_exit 0 "$VMA_RESTORE" extract --range 12M:100K -d a=new bad
    rm new
done

expect_exit 0 "$VMA_RESTORE" extract --range 3M:9M -d a=new x.vma
[ "$(stat -c '%s %b' new)" = '9437184 0' ] || fail "zeroes take room"
"$ROOT/tests/lib/mkvma.py" state.vma a=a.raw vmstate=b.raw
expect_exit 2 "$VMA_RESTORE" extract --range 0:1 -d vmstate=mem state.vma
expect_message 'its size is not known'
