#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With any number of threads a compressed archive is verified and restored
# alike; what is no number of threads has exit code 2.
. "$(dirname "$0")/lib.sh"

head -c 20M /dev/urandom > a.raw
"$VMA_DUMP" a=a.raw 2> /dev/null | "$VMA_SINK" -o x.vma.zst ||
    fail "no archive"
for threads in 0 1 2 256; do
    expect_exit 0 "$VMA_RESTORE" verify -T "$threads" x.vma.zst > out
    expect_exit 0 "$VMA_RESTORE" extract --threads="$threads" x.vma.zst new
    cmp a.raw new/disk-a.raw || fail "with $threads threads it differs"
    rm -r new
done
for threads in -1 257 x 1x ''; do
    expect_exit 2 "$VMA_RESTORE" verify -T "$threads" x.vma.zst
    expect_message 'is not a number of threads'
    expect_exit 2 "$VMA_RESTORE" extract -T "$threads" x.vma.zst new
    expect_message 'is not a number of threads'
    expect_no_file new
done
