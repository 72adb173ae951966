#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-sink --proxmox names an archive as Proxmox VE's storage does, after the local
# time of the backup's start, has in it what qmrestore asks for, and stores nothing
# that it would refuse.
. "$(dirname "$0")/lib.sh"

mkdir dump
head -c 100K /dev/urandom > root.img
truncate -s 1M data.img
cat > web.conf <<'END'
#Web%3A server
name: web
scsihw: virtio-scsi-single
scsi0: local-lvm:vm-7-disk-0,size=100K
virtio1: other:7/vm-7-disk-1.raw,iothread=1
ide2: none,media=cdrom
lock: backup
parent: snap
unused0: local-lvm:vm-7-disk-5
#qmdump#map:scsi9:drive-scsi9:old:raw:

[snap]
scsi0: local-lvm:vm-7-disk-9
END
stream() { # NAME=IMAGE...
    "$VMA_DUMP" -c web.conf=qemu-server.conf "$@" > stream 2> err ||
        fail "$(cat err)"
}
sink() { "$VMA_SINK" "$@" < stream; }
stored() { # PATTERN of the only file
    local name
    name=$(ls -A dump)
    [[ $name =~ $1 ]] || fail "stored: $name"
}
time='[0-9]{4}_[0-9]{2}_[0-9]{2}-[0-9]{2}_[0-9]{2}_[0-9]{2}'

# The name.
stream scsi0=root.img drive-virtio1=data.img
expect_exit 0 sink --proxmox 100 -o dump
stored "^vzdump-qemu-100-$time\\.vma\$"
expect_message 'snapshots and pending changes'
! grep -q 'scsi\|virtio' err || fail "a warning of nothing: $(cat err)"
file=$(echo dump/*)
seconds=$("$VMA_RESTORE" list --json "$file" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["time-seconds"])')
local_time() { date -d "@$seconds" +%Y_%m_%d-%H_%M_%S; }
[ "$file" = "dump/vzdump-qemu-100-$(local_time).vma" ] || fail "$file"
# What vzdump leaves out is not there, and each disk has its line.
"$VMA_RESTORE" config "$file" > stored.conf
diff - stored.conf <<'END' || fail "another configuration"
#Web%3A server
name: web
scsihw: virtio-scsi-single
scsi0: local-lvm:vm-7-disk-0,size=100K
virtio1: other:7/vm-7-disk-1.raw,iothread=1
ide2: none,media=cdrom
#qmdump#map:scsi0:scsi0:local-lvm:raw:
#qmdump#map:virtio1:drive-virtio1:other:raw:
END
# A second one of the same moment is refused, and the first is there.
cp "$file" first
expect_exit 2 sink --proxmox 100 -o dump
expect_message 'file exists'
cmp "$file" first || fail "overwritten"
# With --force it is replaced, and permits what the first one does.
echo older > "$file"
chmod 604 "$file"
expect_exit 0 sink --proxmox 100 --force -o dump
[ "$(stat -c %a "$file")" = 604 ] || fail "another mode: $(stat -c %a "$file")"
cmp "$file" first || fail "not replaced"
rm "$file"

# In another place it is another time; compressed.
export TZ=XYZ-5:30
expect_exit 0 sink --proxmox 999999999 --compress=zstd -o "$PWD/dump/"
file=$(echo dump/*)
[ "$file" = "dump/vzdump-qemu-999999999-$(local_time).vma.zst" ] ||
    fail "$file"
rm "$file"
unset TZ

# What goes back as it was goes in as it was.
cp stored.conf web.conf
stream scsi0=root.img drive-virtio1=data.img
expect_exit 0 sink --proxmox 100 -o dump
! grep -q warning err || fail "$(cat err)"
"$VMA_RESTORE" config dump/* | cmp - web.conf || fail "another configuration"
rm dump/*

# Lines say which drive a disk is; what they don't is warned of.
cat > web.conf <<'END'
scsi0: local-lvm:vm-7-disk-0,backup=0
scsi1: local-lvm:vm-7-disk-1
#qmdump#map:scsi0:root:local-lvm:raw:
END
stream root=root.img drive-sata3=data.img
expect_exit 0 sink --proxmox 100 -o dump
expect_message "'root' will be restored and not used"
expect_message "backup=0 for 'scsi0'"
expect_message "no line for 'sata3'"
expect_message "'scsi1' of 'qemu-server.conf' is not in the backup"
"$VMA_RESTORE" config dump/* | grep -qx '#qmdump#map:scsi0:root:local-lvm:raw:' ||
    fail "no line of the disk"
rm dump/*

# What is not taken: nothing is stored, and the reason is said.
refused() { # WORDS OPTION...
    local words=$1
    shift
    expect_exit 2 sink --proxmox 100 -o dump "$@"
    expect_message "$words"
    expect_no_file dump/*
}
stream data=root.img
refused "which drive is the disk 'data'"
stream ide4=root.img
refused "which drive is the disk 'ide4'"
stream scsi0=root.img drive-scsi0=data.img
refused 'two disks are scsi0'
"$VMA_DUMP" scsi0=root.img > stream 2> err || fail "$(cat err)"
refused 'vma-dump -c FILE=qemu-server.conf'
expect_message 'nothing was stored'
# (It may as well come from this side.)
expect_exit 0 sink --proxmox 100 -o dump -c web.conf=qemu-server.conf
rm dump/*
refused 'no number of a guest' --proxmox 99
refused 'no number of a guest' --proxmox 1000000000
refused 'no number of a guest' --proxmox 0100
refused 'no number of a guest' --proxmox 1e3
refused '-o is a folder' -o -
refused 'the name of the output is empty' -o ''
refused "can't be combined" --format=raw
expect_exit 1 sink --proxmox 100 -o missing
expect_message 'No such file'
expect_exit 1 sink --proxmox 100 -o root.img
expect_exit 2 sink --proxmox 100
expect_message 'no output given'

# A client that adds archives has a say in how they are compressed, not in names.
stream scsi0=root.img
export SSH_ORIGINAL_COMMAND='vma-sink -o vzdump-qemu-101.vma.zst'
expect_exit 0 sink --proxmox 100 --receive dump
stored "^vzdump-qemu-100-$time\\.vma\\.zst\$"
expect_exit 2 sink --proxmox 100 --receive dump --keep-names 'x*'
