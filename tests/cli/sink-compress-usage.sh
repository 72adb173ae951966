#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Options on compression that make no sense have exit code 2 and leave no file.
. "$(dirname "$0")/lib.sh"

for options in --compress=gzip --compress= --compress=zstd: --compress=zstd:0 \
    --compress=zstd:20 --compress=zstd:-8 --compress=zstd:3x \
    --compress=zstd:x --compress=ZSTD '-T -1' '-T 257' '-T x' '-T 1x' \
    '--frame-size 0' '--frame-size 33M' '--frame-size 5G' \
    '--frame-size 1x' '--frame-size -1'; do
    # shellcheck disable=SC2086 # two words
    expect_exit 2 "$VMA_SINK" $options -o a.vma.zst < "$(vector example)"
    expect_message "try 'vma-sink --help'"
    expect_no_file a.vma.zst a.vma.zst.*
done
# At their limits they do.
for options in --compress=zstd:19 --compress=zstd:-7 '-T 256' '-T 0' \
    '--frame-size 32M -T 1'; do
    # shellcheck disable=SC2086
    expect_exit 0 "$VMA_SINK" -f $options -o a.vma.zst < "$(vector example)"
done
