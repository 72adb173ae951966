#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Images of all kinds of sizes come through whole, also with a short last
# cluster and with a size of 0.
. "$(dirname "$0")/lib.sh"

for size in 0 512 65024 65536 66048 131072 524288 524800 1049088; do
    head -c "$size" /dev/urandom > disk
    mkdir -p got
    expect_exit 0 "$VMA_DUMP" "a disk=disk" > stream
    "$ROOT/tests/lib/qbs.py" got < stream > list || fail "size $size"
    grep -qx "device 1 $size a disk" list || fail "size $size: $(cat list)"
    cmp disk "got/a disk" || fail "size $size"
done
