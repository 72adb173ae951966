#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A reader that goes away is an error with a message, and no death by SIGPIPE.
. "$(dirname "$0")/lib.sh"

head -c 8M /dev/urandom > disk
"$VMA_DUMP" d=disk 2> err | head -c 1000 > /dev/null
[ "${PIPESTATUS[0]}" = 1 ] || fail "exit code"
expect_message 'the reader has ended, see its message'
if [ -e /dev/full ]; then
    expect_exit 1 "$VMA_DUMP" d=disk > /dev/full
    expect_message 'No space left on device'
fi
