#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A compressed archive is, for zstd, the plain archive, at every level, frame
# size and number of threads; the threads make no difference to its bytes.
. "$(dirname "$0")/lib.sh"

truncate -s 24M image
head -c 9M /dev/urandom | dd of=image bs=64K seek=10 conv=notrunc status=none
yes 'some text' | head -c 3M | dd of=image bs=64K seek=200 conv=notrunc \
    status=none
"$VMA_DUMP" disk=image > stream || fail "no stream"
expect_exit 0 "$VMA_SINK" -o a.vma < stream
expect_exit 0 "$VMA_SINK" -o a.vma.zst < stream
expect_message "$(numfmt --to=iec-i --round=nearest --suffix=B --format=%.1f \
    "$(stat -c %s a.vma.zst)" | sed 's/\([KMG]\)/ \1/')"

same() { # FILE
    zstd -tq "$1" || fail "$1: bad to zstd"
    zstd -dcq "$1" | cmp - a.vma || fail "$1: another archive"
}
same a.vma.zst
[ "$(stat -c %s a.vma.zst)" -lt "$(stat -c %s a.vma)" ] || fail "not smaller"

for level in -7 -1 1 3 9 19; do
    for threads in 0 1 4; do
        expect_exit 0 "$VMA_SINK" --compress="zstd:$level" -T "$threads" \
            -o "l$level.$threads" < stream
        same "l$level.$threads"
        cmp "l$level.0" "l$level.$threads" || fail "level $level: by threads"
    done
done
cmp l3.1 a.vma.zst || fail "the default is not level 3"
rm l*

# The others, of less.
dd if=image of=small bs=64K skip=180 count=40 status=none
"$VMA_DUMP" disk=small > small.stream || fail "no stream"
expect_exit 0 "$VMA_SINK" -o small.vma < small.stream
for level in {-7..-1} {1..19}; do
    expect_exit 0 "$VMA_SINK" --compress="zstd:$level" -o small.zst \
        < small.stream
    zstd -dcq small.zst | cmp - small.vma || fail "level $level: another archive"
    expect_exit 0 "$VMA_RESTORE" extract -d disk=- small.zst > out
    cmp out small || fail "level $level: another disk"
    rm small.zst
done

# Frames: one of the header, those of extents, and two that are skippable.
frames=0
for size in 1 512 4K 1M 4M 16M 32M; do
    expect_exit 0 "$VMA_SINK" --frame-size "$size" -o "$size.zst" < stream
    same "$size.zst"
    zstd -lq "$size.zst" > list || fail "no list"
    # shellcheck disable=SC2046 # words
    set -- $(tail -n 1 list)
    [ "$2" = 2 ] || fail "$size: not two skippable frames"
    [ "$frames" = 0 ] || [ "$1" -le "$frames" ] || fail "$size: more frames"
    frames=$1
    case $size in
    # 384 clusters: seven extents, and the end mark.
    1) [ "$1" = 11 ] || fail "$1 frames" ;;
    32M) [ "$1" = 4 ] || fail "$1 frames" ;;
    esac
done

# Into a pipe, and not compressed in spite of the name.
"$VMA_SINK" --compress=zstd -o - < stream | cmp - a.vma.zst ||
    fail "through a pipe"
expect_exit 0 "$VMA_SINK" --compress=none -o plain.zst < stream
cmp plain.zst a.vma || fail "none: another archive"
