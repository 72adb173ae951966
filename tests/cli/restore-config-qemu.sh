#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The command that config --as=qemu prints starts a QEMU with the restored disks,
# and a guest boots from one.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/guest.sh"

command -v qemu-system-x86_64 > /dev/null || skip "no qemu-system-x86_64"

# A boot sector that prints a word to the first serial line, and resets: xor ax,ax;
# mov ds,ax; mov dx,3f8h; mov si,7c19h; lodsb; test al,al; jz; out dx,al; jmp;
# mov al,feh; out 64h,al; hlt; jmp.
boot_sector() {
    printf '\x31\xc0\x8e\xd8\xba\xf8\x03\xbe\x19\x7c\xac\x84\xc0\x74\x03'
    printf '\xee\xeb\xf8\xb0\xfe\xe6\x64\xf4\xeb\xfd'
    printf 'It boots from the archive.\r\n\0'
}
for machine in pc q35; do
    mkdir "$machine"
    boot_sector > "$machine/scsi0.img"
    printf '\x55\xaa' | dd of="$machine/scsi0.img" bs=1 seek=510 2> /dev/null
    truncate -s 1M "$machine/scsi0.img"
    make_guest "$machine" <<END
boot: order=scsi0
kvm: 0
machine: $machine
memory: 64
reboot: 0
scsi0: local-lvm:vm-100-disk-0,iothread=1,size=1M
scsihw: virtio-scsi-single
vga: serial0
END
    "$VMA_RESTORE" config --as=qemu --disks "$machine/restored" \
        "$machine/a.vma" > vm.sh || fail "$machine: not translated"
    timeout 120 sh vm.sh < /dev/null > out 2> err ||
        fail "$machine: exit code $?: $(cat err) $(cat out)"
    grep -q 'It boots from the archive' out || fail "$machine: $(cat out)"
done

# (There may be no KVM, no O_DIRECT, and no machine of that version; the firmware
# is a package of its own.)
starts() { # NAME
    make_guest "$1"
    "$VMA_RESTORE" config --as=qemu --disks "$1/restored" "$1/a.vma" \
        > "$1/vm.sh" || fail "$1: not translated"
    if grep -q pflash "$1/vm.sh" && ! [ -e /usr/share/OVMF/OVMF_CODE_4M.fd ]
    then
        echo "not started: $1: no /usr/share/OVMF"
        return
    fi
    sed -i 's/-accel kvm/-accel tcg/; s/-machine pc-q35-[0-9.]*/-machine q35/
        s/cache=none,aio=native/aio=threads/
        $ s/$/ -S -display none -monitor stdio/' "$1/vm.sh"
    echo quit | timeout 120 sh "$1/vm.sh" > out 2>&1 ||
        fail "$1: exit code $?: $(cat out)"
}
each_guest starts
