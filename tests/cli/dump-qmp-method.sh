#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Which method it is: pipe where nothing else is possible, and else what QEMU can
# do; what an option needs, and does not go with, is said.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

mkdir images
wrong() { # MESSAGE ARGUMENT...
    local message=$1
    shift
    expect_exit 2 "$VMA_DUMP" --qmp qmp "$@" < /dev/null > out
    expect_message "$message"
}
wrong "'x' is no method" --method x
wrong 'needs a folder for what the guest overwrites meanwhile: --fleecing' \
    --method nbd
wrong '--fleecing-size needs --fleecing' --fleecing-size 1G
wrong "--fleecing-size can't be 100K" --fleecing images --fleecing-size 100K
wrong 'is not a size' --fleecing images --fleecing-size x
expect_exit 2 "$VMA_DUMP" --fleecing images a=b > out
expect_message 'need --qmp'

# Without the patches, and without a folder: what to give.
fake_qmp --missing backup
expect_exit 1 dump_qmp
expect_message '--fleecing FOLDER'

# With one they are not needed.  (The monitor here is too old for it.)
fake_qmp --missing backup
expect_exit 1 dump_qmp --fleecing images
expect_message 'this QEMU is older than 7.2'
fake_qmp
expect_exit 1 dump_qmp --fleecing images --method nbd
expect_message 'this QEMU is older than 7.2'
[ ! -s out ] || fail "something was written"
