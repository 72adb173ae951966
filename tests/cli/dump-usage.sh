#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong usage of vma-dump has exit code 2, and nothing is written.
. "$(dirname "$0")/lib.sh"

truncate -s 64K disk
echo x > small
mkfifo fifo
wrong() { # MESSAGE ARGUMENT...
    local message=$1
    shift
    expect_exit 2 "$VMA_DUMP" "$@" > stream
    expect_message "$message"
    [ ! -s stream ] || fail "something was written"
}
wrong 'nothing to back up'
wrong "'disk' is not NAME=IMAGE" disk
wrong "'=disk' is not NAME=IMAGE" =disk
wrong "'d=' is not NAME=IMAGE" d=
wrong "is used twice" d=disk d=disk
wrong "is not a name" "$(printf 'a\nb')=disk"
wrong "is not a name" "$(printf %256s x)=disk"
wrong "neither a regular file nor a block device" d=fifo
wrong "neither a regular file nor a block device" d=.
wrong "neither a regular file nor a block device" d=/dev/null
wrong "--qmp and 'd=disk' can't be combined" --qmp qmp d=disk
wrong "need --qmp" -d x d=disk
wrong "need --qmp" --speed 1M d=disk
wrong "timeout of -5 seconds" --timeout=-5 d=disk
wrong "can't be combined" --qmp qmp --any-content
wrong "--force-share and --qmp can't be combined" --qmp qmp -U
wrong "is not a size" --qmp qmp --speed 1X
wrong "timeout" --qmp qmp --timeout=-5
wrong "is not the name of a device" --qmp qmp -d a,b
wrong "the name is taken" -c small -c small d=disk
expect_exit 1 "$VMA_DUMP" d=missing > stream
expect_message "cannot open 'missing': No such file"

expect_exit 0 "$VMA_DUMP" --help > help
grep -q 'Exit codes' help || fail "no exit codes in --help"
