#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --buffer, --spool and --spool-size that make no sense are refused before
# anything is created, and a folder that is no good is a failure.
. "$(dirname "$0")/lib.sh"

stream=$(vector example)
wrong() { # CODE MESSAGE ARGUMENT...
    local code=$1 message=$2
    shift 2
    expect_exit "$code" "$VMA_SINK" -o a.vma "$@" < "$stream"
    expect_message "$message"
    expect_no_file a.vma a.vma.*
}
wrong 2 "'x' is not a size" --buffer x
wrong 2 'is not a size' --buffer=-1
wrong 2 '--buffer is 0 or between 1M and 1T' --buffer 1023K
wrong 2 '--buffer is 0 or between 1M and 1T' --buffer 2T
wrong 2 '--spool-size goes with --spool' --spool-size 1G
wrong 2 '--spool needs a --buffer' --spool . --buffer 0
wrong 2 "'x' is not a size" --spool . --spool-size x
wrong 1 "temporary file in 'nowhere': No such file" --spool nowhere
touch file
wrong 1 "temporary file in 'file': Not a directory" --spool file

for arguments in '--buffer 0' '--buffer 1M' '--buffer 1G' '--spool .' \
    '--spool . --spool-size 0' '--buffer 1M --spool . --spool-size 1T'; do
    # shellcheck disable=SC2086 # words
    expect_exit 0 "$VMA_SINK" -o a.vma $arguments < "$stream"
    [ "$(ls -A)" = "$(printf 'a.vma\nerr\nfile')" ] || fail "$(ls -A)"
    rm a.vma
done
