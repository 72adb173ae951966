#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A --spool folder whose file system becomes full is no failure: the producer
# waits, and the archive is right.
if [ "${SPOOL_INSIDE:-}" != yes ]; then
    # Mounts of its own need no clean-up.
    if ! unshare -rm true 2> /dev/null; then
        echo 'no file system can be mounted (unshare -rm)'
        exit 77
    fi
    SPOOL_INSIDE=yes exec unshare -rm "$0"
fi
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/stalled.sh"

mkdir spool
mount -t tmpfs -o size=6M none spool || skip 'no tmpfs can be mounted'

free_bytes() {
    local blocks size
    read -r blocks size < <(stat -f -c '%a %S' spool)
    echo $((blocks * size))
}
# Less than a piece is left.
full() {
    [ "$(free_bytes)" -lt $((256 << 10)) ]
}
before=$(free_bytes)
stall $((6 << 20)) --buffer 1M --spool spool
await 'the file system is full' full
release 0
! grep -q warning err || fail "$(cat err)"
[ "$(free_bytes)" = "$before" ] || fail "space is missing"

# And where there is no room at all.
head -c 6M /dev/zero > spool/other
stall $((1 << 20)) --buffer 1M --spool spool
release 0
! grep -q warning err || fail "$(cat err)"
umount spool
