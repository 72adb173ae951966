#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --format=raw --force of a folder that the file system can't rename, as an overlay
# one of its lower layer, is refused before the stream is read; one of the upper
# layer is replaced.
if [ "${OVERLAY_INSIDE:-}" != yes ]; then
    # Mounts of its own need no clean-up.
    if ! unshare -rm true 2> /dev/null; then
        echo 'no file system can be mounted (unshare -rm)'
        exit 77
    fi
    OVERLAY_INSIDE=yes exec unshare -rm "$0"
fi
. "$(dirname "$0")/lib.sh"

mkdir lower all space
mount -t tmpfs none space 2> /dev/null || skip "no tmpfs can be mounted"
mkdir -p lower/old space/upper space/work
echo old > lower/old/disk-a.raw
trap 'umount all space 2> /dev/null; cleanup' EXIT
mount -t overlay -o lowerdir=lower,upperdir=space/upper,workdir=space/work \
    -o userxattr none all 2> err || skip "no overlay can be mounted: $(cat err)"
truncate -s 1M a
"$VMA_DUMP" a=a > stream 2> err || fail "no stream"

mkdir all/moved
if python3 -c 'import os; os.rename("all/old", "all/other")' 2> /dev/null; then
    skip "this overlay renames what is in its lower layer"
fi
mkfifo never
exec 8<> never
expect_exit 1 timeout 20 "$VMA_SINK" --format=raw --force -o all/old <&8
exec 8>&-
! grep -q 'does not exchange' err || skip "this overlay exchanges no folders"
expect_message "cannot replace 'all/old', it can't be renamed here"
[ "$(ls -A all)" = "$(printf 'moved\nold')" ] || fail "left over: $(ls -A all)"
[ "$(cat all/old/disk-a.raw)" = old ] || fail "the old folder has changed"

expect_exit 0 "$VMA_SINK" --format=raw --force -o all/moved < stream
cmp all/moved/disk-a.raw a || fail "another disk"
expect_exit 0 "$VMA_SINK" --format=raw -o all/new < stream
[ "$(ls -A all)" = "$(printf 'moved\nnew\nold')" ] || fail "left: $(ls -A all)"
