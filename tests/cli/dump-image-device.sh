#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A block device is read with its own size.
. "$(dirname "$0")/lib.sh"

head -c 1000K /dev/urandom > disk
device=$(losetup --find --show --read-only disk 2> /dev/null) ||
    skip "loop devices need root"
trap 'losetup --detach "$device"; cleanup' EXIT
mkdir got
expect_exit 0 "$VMA_DUMP" "d=$device" > stream
"$ROOT/tests/lib/qbs.py" got < stream > list || fail "stream"
grep -qx 'device 1 1024000 d' list || fail "$(cat list)"
cmp disk got/d || fail "contents"
