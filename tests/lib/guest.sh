# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Archives of guests of Proxmox VE.  Sourced after lib.sh.

# Makes FOLDER with the configuration that comes in on standard input, small empty
# disks for its drives, the archive a.vma, and the disks of that in "restored".
make_guest() { # FOLDER
    local key keys size disks=()
    mkdir -p "$1"
    cat > "$1/qemu-server.conf"
    keys=$(sed -nE '/^\[/q; /media=cdrom/d
        s/^((ide|sata|scsi|virtio|efidisk|tpmstate)[0-9]+):.*/\1/p' \
        "$1/qemu-server.conf")
    for key in $keys; do
        size=1M
        case $key in
        # What the firmware's variables have.
        efidisk0) size=128K
            ! grep -q efitype=4m "$1/qemu-server.conf" || size=528K ;;
        esac
        [ -e "$1/$key.img" ] || truncate -s "$size" "$1/$key.img"
        disks+=("drive-$key=$1/$key.img")
    done
    "$VMA_DUMP" -c "$1/qemu-server.conf" "${disks[@]}" 2> err |
        "$VMA_SINK" -o "$1/a.vma" 2>> err || fail "$(cat err)"
    "$VMA_RESTORE" extract "$1/a.vma" "$1/restored" 2> err ||
        fail "$(cat err)"
}

# Guests of all kinds, one after another: COMMAND NAME, with the configuration
# on its standard input.
each_guest() { # COMMAND
    "$1" smallest <<'END'
scsi0: local-lvm:vm-100-disk-0,size=1M
END
    "$1" linux <<'END'
#The web server
agent: 1
balloon: 256
boot: order=scsi0;ide2;net0
cores: 2
cpu: x86-64-v2-AES
ide2: none,media=cdrom
kvm: 0
memory: 512
meta: creation-qemu=8.1.5,ctime=1700000000
name: web-1
net0: virtio=BC:24:11:AA:BB:CC,bridge=vmbr0,firewall=1,tag=20
net7: e1000=BC:24:11:AA:BB:CD,bridge=vmbr0,link_down=1
numa: 1
onboot: 1
ostype: l26
rng0: source=/dev/urandom,max_bytes=2048,period=500
scsi0: local-lvm:vm-100-disk-0,discard=on,iothread=1,size=1M,ssd=1
scsi1: local-lvm:vm-100-disk-1,cache=writeback,serial=abc%20%26,queues=4
scsihw: virtio-scsi-single
serial0: socket
smbios1: uuid=7b10d7af-b932-4c66-b2c3-3996152ec465,manufacturer=QSxCICYgPEM+,base64=1
sockets: 2
vcpus: 3
vga: virtio
vmgenid: c773c261-d800-4348-9f5d-167fadd53cf8
virtio6: local:100/vm-100-disk-2.qcow2,iothread=1,ro=1
#qmdump#map:scsi0:drive-scsi0:local-lvm:raw:

[before-upgrade]
memory: 2048
END
    "$1" windows <<'END'
agent: enabled=1,type=isa
audio0: device=ich9-intel-hda,driver=spice
bios: ovmf
cpu: max,hidden=1
efidisk0: local:100/vm-100-disk-0.raw,efitype=4m,pre-enrolled-keys=1,size=528K
ide0: local:iso/virtio.iso,media=cdrom,size=519172K
ide1: local:100/vm-100-disk-3.raw,serial=7
kvm: 0
machine: pc-q35-9.2+pve1
memory: 512
name: win11
net0: e1000e=BC:24:11:AA:BB:CE,bridge=vmbr0,mtu=1400
ostype: win11
sata0: local:100/vm-100-disk-1.raw,model=Big%20disk,wwn=0x5000c500a0b1c2d3
scsi30: local:100/vm-100-disk-2.raw
tablet: 0
vga: qxl,memory=16
watchdog: model=i6300esb,action=reset
END
    "$1" old <<'END'
acpi: 0
audio0: device=AC97
bootdisk: ide0
freeze: 1
hotplug: 0
ide0: local:100/vm-100-disk-0.raw,rerror=report,werror=enospc
ide3: local:100/vm-100-disk-1.raw,aio=native
keyboard: de
kvm: 0
localtime: 1
memory: 128
net0: rtl8139=BC:24:11:AA:BB:CF,bridge=vmbr0
ostype: wxp
reboot: 0
sata5: local:100/vm-100-disk-2.raw
scsi13: local:100/vm-100-disk-3.raw
scsi20: local:100/vm-100-disk-4.raw,vendor=VEN,product=Pro
smp: 2
watchdog: ib700
END
    local controller
    for controller in lsi53c810 megasas pvscsi virtio-scsi-pci; do
        "$1" "$controller" <<END
cpu: qemu64,flags=+aes
kvm: 0
scsi0: local:100/vm-100-disk-0.raw,detect_zeroes=1,aio=threads
scsi3: local:100/vm-100-disk-1.raw
scsihw: $controller
vga: none
END
    done
}
