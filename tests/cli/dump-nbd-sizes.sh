#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An export of any size is read to its last byte and filled up to whole sectors,
# whether or not the server tells of its extents.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs nbdkit

for size in 0 1 511 512 65024 65535 65536 65537 66048 262143 262144 262656 \
    4194304 4194305; do
    head -c "$size" /dev/urandom > disk
    cp disk padded
    truncate -s "$(((size + 511) / 512 * 512))" padded
    for filter in '' --filter=noextents; do
        # shellcheck disable=SC2016,SC2086 # $uri is nbdkit's
        expect_exit 0 with_nbdkit '"$VMA_DUMP" d="$uri" > stream' $filter \
            file disk
        if [ $((size % 512)) != 0 ]; then
            expect_message "is no multiple of 512 bytes"
        fi
        read_stream "size $size"
        cmp padded got/d || fail "size $size"
    done
done
