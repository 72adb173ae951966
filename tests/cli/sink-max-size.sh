#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-sink --max-size N writes archives of N bytes and no larger ones, whatever a
# small stream asks for: then it fails and leaves what was there before.
. "$(dirname "$0")/lib.sh"

head -c 300K /dev/urandom > disk
"$VMA_DUMP" d=disk > stream 2> err || fail "$(cat err)"
"$VMA_SINK" -o right.vma < stream 2> err || fail "$(cat err)"
size=$(stat -c %s right.vma)
truncate -s 100G zeroes
"$VMA_DUMP" d=zeroes > small 2> err || fail "$(cat err)"
[ "$(stat -c %s small)" -lt 1000 ] || fail "a large stream"

for option in --compress=none --compress=zstd; do
    expect_exit 0 "$VMA_SINK" $option -o known.vma < stream
    known=$(stat -c %s known.vma)
    expect_exit 0 "$VMA_SINK" $option --max-size "$known" -o x.vma < stream
    rm x.vma
    expect_exit 1 "$VMA_SINK" $option --max-size $((known - 1)) -o x.vma < stream
    expect_message "cannot write 'x.vma': the file would have more than the \
$((known - 1)) bytes"
    expect_no_file x.vma*
    rm known.vma
done
expect_exit 1 "$VMA_SINK" --max-size 1M -o x.vma < small
expect_no_file x.vma*

# What is there stays; a pipe has not more than that.
echo old > x.vma
expect_exit 1 "$VMA_SINK" --max-size 1M -f -o x.vma < small
[ "$(cat x.vma)" = old ] || fail "it was replaced"
expect_exit 0 "$VMA_SINK" --max-size "$size" -o - < stream > out
cmp out right.vma || fail "another archive"
expect_exit 1 "$VMA_SINK" --max-size 1M -o - < small > out
[ "$(stat -c %s out)" -le $((1 << 20)) ] || fail "more than it may have"

expect_exit 2 "$VMA_SINK" --max-size 1M --format=raw -o raw < stream
expect_message 'for archives only'
expect_exit 2 "$VMA_SINK" --max-size much -o x.vma -f < stream
