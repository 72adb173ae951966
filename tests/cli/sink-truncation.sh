#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A stream cut after any of its bytes makes vma-sink exit with 4 and no file.
. "$(dirname "$0")/lib.sh"

stream=$(vector example)
size=$(stat -c %s "$stream")
for ((cut = 0; cut < size; cut++)); do
    head -c "$cut" "$stream" | "$VMA_SINK" -o a.vma 2> err
    code=$?
    [ "$code" = 4 ] || fail "cut after $cut bytes: exit code $code: $(cat err)"
    expect_no_file a.vma a.vma.*
done
