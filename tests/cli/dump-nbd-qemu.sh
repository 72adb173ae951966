#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What is said where an image is qcow2 can be done: exported with qemu-nbd it is
# backed up as the guest sees it, without what it does not hold.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs qemu-nbd qemu-img qemu-io

qemu-img create -q -f qcow2 base.qcow2 64M
qemu-io -f qcow2 -c 'write -P 17 1M 3M' -c 'write -z 2M 64k' base.qcow2 \
    > /dev/null
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "it's.qcow2" 256M
qemu-io -f qcow2 -c 'write -P 34 3M 100k' -c 'write -P 51 200000k 4k' \
    -c 'write -P 0 100M 1M' "it's.qcow2" > /dev/null
qemu-img convert "it's.qcow2" -O raw raw

expect_exit 2 "$VMA_DUMP" d="it's.qcow2" > stream
# With a socket of our own.
command=$(sed 's/.*export it with "\(.*\)", and give .*/\1/' err)
uri=$(sed 's/.*, and give \(.*\) in its place.*/\1/' err)
eval "${command/\/tmp\/disk.sock/$T/disk.sock}" || fail "$command"
expect_exit 0 "$VMA_DUMP" d="${uri/\/tmp\/disk.sock/$T/disk.sock}" > stream
read_stream qcow2
cmp raw got/d || fail "contents"
[ "$(stat -c %s stream)" -lt 5000000 ] || fail "a long stream"

# An export that is not there.
qemu-nbd --read-only --persistent --fork --pid-file="$T/pid" -x right \
    --socket="$T/named.sock" "it's.qcow2" || fail "qemu-nbd"
expect_exit 1 "$VMA_DUMP" d="nbd+unix:///wrong?socket=$T/named.sock" > stream
expect_message "cannot open 'nbd+unix:///wrong?socket=$T/named.sock': "
expect_exit 0 "$VMA_DUMP" d="nbd+unix:///right?socket=$T/named.sock" > stream
kill "$(cat pid)"
read_stream named
cmp raw got/d || fail "contents"
