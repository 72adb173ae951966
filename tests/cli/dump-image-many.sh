#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# 254 images are a backup, with ids in the order of the command line; 255 are
# not.
. "$(dirname "$0")/lib.sh"

truncate -s 512 disk
arguments=()
for ((i = 1; i <= 254; i++)); do
    arguments+=("disk$((300 - i))=disk")
done
expect_exit 0 "$VMA_DUMP" "${arguments[@]}" > stream
"$ROOT/tests/lib/qbs.py" < stream > list || fail "stream"
[ "$(grep -c ^device list)" = 254 ] || fail "$(cat list)"
grep -qx 'device 1 512 disk299' list || fail "$(cat list)"
grep -qx 'device 254 512 disk46' list || fail "$(cat list)"
expect_exit 2 "$VMA_DUMP" "${arguments[@]}" more=disk > stream
expect_message '255 images are more than 254'
[ ! -s stream ] || fail "something was written"
