#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A reader who takes nothing for --timeout seconds, be it behind a pipe or a
# socket, ends vma-dump with exit code 1; one who is slow does not.
. "$(dirname "$0")/lib.sh"

head -c 8M /dev/urandom > image
mkfifo pipe
exec 8<> pipe
expect_exit 1 timeout -s KILL 30 "$VMA_DUMP" --timeout 1 disk=image > pipe
expect_message 'cannot write the stream: the reader did not take anything'
expect_message 'within 1 seconds'
exec 8<&-

# Who does not read at all does not end by himself, either.
expect_exit 1 timeout -s KILL 30 "$VMA_DUMP" --timeout 1 disk=image \
    --to 'sleep 100'
expect_message 'not committed: cannot write the stream: the reader did not'
expect_message "'sleep' did not end and was killed"

# Longer for a single write than that, but never without a byte.
slow() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
        sleep 0.25
        head -c 64K
    done
    cat
}
"$VMA_DUMP" --timeout 2 disk=image | slow > stream
[ "${PIPESTATUS[0]}" = 0 ] || fail 'a slow reader is no reason'
"$VMA_SINK" -o archive.vma < stream
"$VMA_RESTORE" extract -d disk=- archive.vma | cmp - image
