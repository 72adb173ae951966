#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What config --as leaves out is said, in the text and on standard error; nothing
# of a configuration makes the text do anything else than start QEMU.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/guest.sh"

make_guest vm <<'END'
args: -chardev file,path=pwned,id=x
name: $(touch pwned)
net0: virtio=52:54:00:12:34:56,bridge=vmbr0,script='; touch pwned; '
scsi0: local:100/vm-100-disk-0.raw,serial=%27%3B%20touch%20pwned%20%23%2C
hookscript: local:snippets/pwned.sh
smbios1: manufacturer=JzsgdG91Y2ggcHduZWQ7ICc=,base64=1
#
END
as() { "$VMA_RESTORE" config --as="$1" "${@:2}" vm/a.vma; }

# Notes are of the one text and of the other.
# shellcheck disable=SC2016 # that is it
expect_exit 0 as qemu --disks 'a b/$(touch pwned),x' > vm.sh
cp err notes
grep '^# ' vm.sh > comments
for words in 'args: -chardev' 'it may run any program' 'hookscript' \
    "name: \$(touch pwned)" 'of net0: bridge=vmbr0,script=' 'user networking'; do
    expect_message "$words"
    grep -qF "$words" comments || fail "not in the comments: $words"
done
[ "$(wc -l < comments)" = "$(wc -l < notes)" ] || fail "$(cat vm.sh notes)"

# A shell makes one command of it, with these very words.
mkdir bin
cat > bin/qemu-system-x86_64 <<'END'
#!/bin/sh
printf '%s\n' "$@" > words
END
chmod +x bin/qemu-system-x86_64
PATH=$PWD/bin:$PATH sh vm.sh || fail "exit code $?"
! [ -e pwned ] || fail "it did something"
# shellcheck disable=SC2016 # that is it
for words in 'if=none,format=raw,id=drive-scsi0,file=a b/$(touch pwned),,x/' \
    "serial='; touch pwned #,,," "manufacturer='; touch pwned; '"; do
    grep -qF -- "$words" words || fail "no $words in: $(cat words)"
done
! grep -q 'path=pwned\|script' words || fail "$(cat words)"

# The folder is the working one if none is given; another configuration.
expect_exit 0 as qemu > vm.sh
grep -q 'file=./disk-drive-scsi0.raw' vm.sh || fail "$(cat vm.sh)"
expect_exit 0 as qemu --disks a:b > vm.sh
grep -q 'file=./a:b/disk-drive-scsi0.raw' vm.sh || fail "$(cat vm.sh)"
expect_exit 0 as qemu --bridge br0 > vm.sh
grep -q 'bridge,id=net0,br=br0' vm.sh || fail "$(cat vm.sh)"
! grep -q 'user networking' vm.sh || fail "$(cat vm.sh)"
expect_exit 0 "$VMA_RESTORE" config --as=libvirt - < vm/a.vma > vm.xml
grep -q "<source file='$PWD/disk-drive-scsi0.raw'/>" vm.xml ||
    fail "$(cat vm.xml)"
expect_exit 0 "$VMA_RESTORE" config --as=qemu vm/a.vma qemu-server.conf > vm.sh

expect_exit 2 as xen
expect_message 'qemu or libvirt'
expect_exit 2 as qemu --bridge 'br0,script=x'
expect_exit 2 "$VMA_RESTORE" config --disks x vm/a.vma
expect_exit 2 "$VMA_RESTORE" config --as=qemu vm/a.vma other.conf
expect_message "no config 'other.conf'"
expect_exit 2 as libvirt --disks $'a\nb'
printf 'name: a\0b\n' > no-text.conf
truncate -s 1M d.img
"$VMA_DUMP" -c no-text.conf=qemu-server.conf d=d.img 2> err |
    "$VMA_SINK" -o b.vma 2> err || fail "$(cat err)"
expect_exit 3 "$VMA_RESTORE" config --as=qemu b.vma
expect_message 'no text'
