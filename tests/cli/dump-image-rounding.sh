#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An image whose size is no multiple of 512 is filled up with zeroes, and a note
# says so.
. "$(dirname "$0")/lib.sh"

for size in 1 511 513 65535 65537 130561; do
    head -c "$size" /dev/urandom > disk
    mkdir -p got
    expect_exit 0 "$VMA_DUMP" d=disk > stream
    expect_message "note: 'disk' is no multiple of 512 bytes"
    "$ROOT/tests/lib/qbs.py" got < stream > /dev/null || fail "size $size"
    truncate -s "$(((size + 511) / 512 * 512))" disk
    cmp disk got/d || fail "size $size"
done
