#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Compressed archives, made by vma-sink against "zstd -T2" of the same plain
# archive, and read by vma-restore against "zstd -dc", of an operating system's
# files and of random data, in memory, with two threads each.  Wanted are: at
# most 1.05 times the time, at a size within 1.5 %; at most 0.65 of the time to
# extract all of it with two processors; of a disk that is 5 % of it at most 8 %
# of the time of the whole; and no more than 64 MiB and 12 MiB a thread of
# memory.  Parameters: see lib.sh; MIB is that of the disk, 1024.
set -euo pipefail
cd "$(dirname "$0")/../.."
MIB=${MIB:-1024}
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

need_space $((MIB * 6))
archive=$WORK/disks.vma.zst

# Both take it from a file to a file.
store_zstd() {
    rm -f "$WORK/out"
    timed zstd -q -T2 "-$level" -o "$WORK/out" "$WORK/plain"
}
store_vma-sink() {
    rm -f "$WORK/out"
    timed "$B/vma-sink" -T 2 "--compress=zstd:$level" -o "$WORK/out" \
        < "$WORK/stream"
}

size_after() {
    "$1" 2> "$WORK/errors"
    stat -c %s "$WORK/out"
}

# make DATA: both measure it; the stream and the plain archive of that image
make() {
    local level theirs ours

    "$B/vma-dump" "disk=$1" > "$WORK/stream" 2> "$WORK/errors"
    "$B/vma-sink" -o "$WORK/plain" < "$WORK/stream" 2> "$WORK/errors"
    for level in 1 3; do
        compare "level $level" store_zstd store_vma-sink
        theirs=$(size_after store_zstd)
        ours=$(size_after store_vma-sink)
        awk -v a="$theirs" -v b="$ours" -v level="$level" 'BEGIN {
            printf "level %d: zstd %d bytes, vma-sink %d; %+.2f %%\n",
                level, a, b, 100 * (b / a - 1) }'
    done
    rm "$WORK/stream" "$WORK/plain" "$WORK/out"
}

cat_zstd() {
    rm -f "$WORK/copy"
    # shellcheck disable=SC2016 # those of the inner shell
    timed bash -c 'set -o pipefail; zstd -qdc "$0" | cat > "$1"' \
        "$archive" "$WORK/copy"
    rm "$WORK/copy"
}
copy_extract() {
    timed "$B/vma-restore" extract -T 2 "$archive" "$WORK/restored"
    rm -r "$WORK/restored"
}
copy_one() {
    timed "$B/vma-restore" extract -T 2 -d "small=$WORK/restored" "$archive"
    rm "$WORK/restored"
}
copy_in-order() {
    # shellcheck disable=SC2016 # those of the inner shell
    timed bash -c 'set -o pipefail
        "$0" extract -T 2 -d small=- "$1" | cat > "$2"' \
        "$B/vma-restore" "$archive" "$WORK/restored"
    rm "$WORK/restored"
}
test_zstd() { timed zstd -q -t "$archive"; }
test_verify() { timed "$B/vma-restore" verify -T 2 "$archive"; }

# read_back IMAGE: as two disks, the second one of 5 %
read_back() {
    head -c "$((MIB / 20))M" "$1" > "$WORK/small"
    "$B/vma-dump" "large=$1" "small=$WORK/small" 2> "$WORK/errors" |
        "$B/vma-sink" -T 2 -o "$archive" 2> "$WORK/errors"
    compare extract cat_zstd copy_extract
    compare 'extract one disk of 5 %' copy_extract copy_one
    compare 'the same, in order through a pipe' copy_extract copy_in-order
    compare verify test_zstd test_verify
    rm "$archive" "$WORK/small"
}

for data in os random; do
    if [ "$data" = os ]; then
        os_image "$MIB" "$WORK/image"
    else
        head -c "${MIB}M" /dev/urandom > "$WORK/image"
    fi
    echo "$data data, a disk of $MIB MiB"
    make "$WORK/image"
    read_back "$WORK/image"
    rm "$WORK/image"
done
