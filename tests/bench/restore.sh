#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vma-restore verify against md5sum of the archive, and extract against cp of
# the image, for a disk, half random data and half zeroes, in memory.
# Parameters: see lib.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

need_space $((MIB * 13 / 8))
archive=$WORK/disk.vma
"$B"/tests/bench-stream "$MIB" | "$B/vma-sink" -o "$archive" 2> "$WORK/errors"

check_md5sum() { timed md5sum "$archive"; }
check_verify() { timed "$B/vma-restore" verify "$archive"; }

copy_cp() {
    rm -f "$WORK/copy"
    timed cp --sparse=always "$WORK/image/disk-disk.raw" "$WORK/copy"
    rm "$WORK/copy"
}
copy_extract() {
    timed "$B/vma-restore" extract "$archive" "$WORK/restored"
    rm -r "$WORK/restored"
}

echo "archive of a $MIB MiB disk, $(stat -c %s "$archive") bytes"
compare verify check_md5sum check_verify
"$B/vma-restore" extract "$archive" "$WORK/image" 2> "$WORK/errors"
compare extract copy_cp copy_extract
