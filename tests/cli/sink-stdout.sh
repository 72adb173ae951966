#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# "-o -" writes the same archive to standard output, in a pipe and in a file,
# and a full device or a closed pipe there is a failure.
. "$(dirname "$0")/lib.sh"

stream=$(vector example)
expect_exit 0 "$VMA_SINK" -o a.vma < "$stream"
"$VMA_SINK" -o - < "$stream" > b.vma || fail "to a file"
cmp a.vma b.vma || fail "another archive"
"$VMA_SINK" -o - < "$stream" | cmp - a.vma || fail "through a pipe"
expect_exit 1 "$VMA_SINK" -o - < "$stream" > /dev/full
expect_message 'No space left'

exec 8> >(true)
wait $!
expect_exit 1 "$VMA_SINK" -o - < "$stream" >&8
expect_message 'the reader has ended, see its message'
