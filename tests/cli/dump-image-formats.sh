#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An image in another format than raw is refused with a hint, before anything is
# written, and --any-content takes it.
. "$(dirname "$0")/lib.sh"

image() { # OFFSET MAGIC
    rm -f disk
    truncate -s 1M disk
    printf %b "$2" | dd of=disk bs=1 seek="$1" conv=notrunc status=none
}
refused() { # FORMAT
    expect_exit 2 "$VMA_DUMP" d=disk > stream
    expect_message "looks like a $1 image"
    expect_message "qemu-nbd --read-only --fork --socket=/tmp/disk.sock 'disk'"
    expect_message 'give nbd+unix:///?socket=/tmp/disk.sock'
    [ ! -s stream ] || fail "something was written"
    expect_exit 0 "$VMA_DUMP" --any-content d=disk > stream
}
image 0 'QFI\xfb'; refused qcow2
image 0 'QED\0'; refused qed
image 0 'KDMV'; refused vmdk
image 0 'vhdxfile'; refused vhdx
image 64 '\x7f\x10\xda\xbe'; refused vdi
# LUKS is the guest's own affair, and so is a file shorter than any magic.
image 0 'LUKS\xba\xbe'
expect_exit 0 "$VMA_DUMP" d=disk > stream
printf QFI > disk
expect_exit 0 "$VMA_DUMP" d=disk > stream
