#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A block device that is mounted is refused, and the message says what to do;
# --force-share reads it, for one that is mounted read-only.  So is one that a
# QEMU has open for writing.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs mkfs.ext4

truncate -s 4M disk
mkfs.ext4 -q disk || fail "mkfs"
device=$(losetup --find --show disk 2> /dev/null) ||
    skip "loop devices need root"
trap 'umount mnt 2> /dev/null; losetup --detach "$device"; cleanup' EXIT
mkdir mnt

if command -v qemu-io > /dev/null; then
    coproc QEMU { exec qemu-io -f host_device "$device"; }
    # It asks for a command when it has it.
    read -r -N 1 -u "${QEMU[0]}" prompt || fail "no qemu-io: $prompt"
    qemu=$QEMU_PID
    expect_exit 1 "$VMA_DUMP" "d=$device" > stream
    expect_message "cannot back up '$device': it is in use for writing, by a QEMU"
    [ ! -s stream ] || fail "something was written"
    expect_exit 0 "$VMA_DUMP" -U "d=$device" > stream
    echo quit >&"${QEMU[1]}"
    wait "$qemu"
fi

mount -o ro "$device" mnt 2> /dev/null || skip "nothing can be mounted"
expect_exit 1 "$VMA_DUMP" "d=$device" > stream
expect_message "cannot back up '$device': it is in use (mounted, or a part of \
another device), so unmount it first; a running guest is backed up with --qmp"
[ ! -s stream ] || fail "something was written"
expect_exit 0 "$VMA_DUMP" --force-share "d=$device" > stream
read_stream mounted
cmp "$device" got/d || fail "contents"
umount mnt
expect_exit 0 "$VMA_DUMP" "d=$device" > stream
read_stream unmounted
cmp "$device" got/d || fail "contents"
