#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-sink answers each test vector with the right exit code and message, and
# leaves an archive, or a folder of images, where, and only where, the stream is
# whole; also where the stream is read ahead.
. "$(dirname "$0")/lib.sh"

count=0
while IFS=$'\t' read -r name outcome _ words; do
    # 2^32 clusters of zeroes make an archive of 37 GB.
    if [[ $name = \#* || $name = size-max ]]; then
        continue
    fi
    case $outcome in
    ok) code=0 ;;
    damaged) code=3 ;;
    incomplete) code=4 ;;
    esac
    for arguments in --format=vma --format=raw '--buffer 1M' '--spool .'; do
        # shellcheck disable=SC2086 # words
        expect_exit "$code" "$VMA_SINK" $arguments -o out \
            < "$(vector "$name")" 2> /dev/null
        if [ "$code" = 0 ]; then
            rm -r out || fail "$name: no archive or folder"
        else
            expect_message "$words"
        fi
        expect_no_file out out.*
    done
    count=$((count + 1))
done < "$ROOT/tests/data/stream/VECTORS"
[ "$count" -gt 70 ] || fail "only $count vectors"
