#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk restored to a block device is there bit for bit, whatever was there
# before, and behind it nothing changes; a device that is too small, in use or
# not forced is left alone, and a failure says what it has overwritten.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000384 1
"$mkvma" --image b.raw 3000320 2
"$mkvma" -n 7 x.vma a=a.raw b=b.raw vmstate=b.raw
"$mkvma" -s 1 shuffled.vma a=a.raw b=b.raw

head -c 12M /dev/zero | tr '\0' '\377' > old
cp old disk
cp old disk2
device=$(losetup --find --show disk 2> /dev/null) ||
    skip "loop devices need root"
device2=$(losetup --find --show disk2)
trap 'losetup --detach "$device"; losetup --detach "$device2"; cleanup' EXIT
ln -s "$device" link

whole() { # DEVICE IMAGE
    local size
    size=$(stat -c %s "$2")
    cmp -n "$size" "$1" "$2" || fail "wrong content of $1"
    tail -c "+$((size + 1))" "$1" |
        cmp - <(tail -c "+$((size + 1))" old) || fail "wrong behind $1"
}
fill() {
    dd if=old of="$device" bs=1M conv=fsync status=none
}
untouched() {
    cmp "$device" old || fail "$device was written to"
    expect_message 'nothing was restored: '
}

expect_exit 2 "$VMA_RESTORE" extract -d "a=$device" x.vma
expect_message "the contents of '$device' would be overwritten (--force"
untouched
expect_exit 0 "$VMA_RESTORE" extract --force -d a=link x.vma
expect_message "'link' is larger than the disk: its last 2582528 bytes are left"
[ -L link ] || fail "the link was replaced"
whole "$device" a.raw
fill
expect_exit 0 "$VMA_RESTORE" extract --force -d "a=$device" shuffled.vma
whole "$device" a.raw

# Two devices and a file in one go, and nothing is in use afterwards.
fill
expect_exit 0 "$VMA_RESTORE" extract -f -d "b=$device" -d "a=$device2" \
    -d vmstate=mem - < x.vma
whole "$device" b.raw
whole "$device2" a.raw
cmp -n 3000320 mem b.raw || fail "wrong file"

# What is checked before the first write.
fill
expect_exit 2 "$VMA_RESTORE" extract -f -d "b=$device" -d a=/dev/null x.vma
untouched
expect_exit 2 "$VMA_RESTORE" extract -f -d "b=$device" -d a=link x.vma
expect_message "named as the target of two disks"
untouched
expect_exit 2 "$VMA_RESTORE" extract -f -d "vmstate=$device" x.vma
expect_message 'its size is not known'
untouched
truncate -s 3000319 small
small=$(losetup --find --show small)
expect_exit 2 "$VMA_RESTORE" extract -f -d "a=$device" -d "b=$small" x.vma
losetup --detach "$small"
expect_message "is too small: it has 2999808 bytes, the disk has 3000320"
untouched
# (Some kernels refuse to open it, others to write to it.)
constant=$(losetup --read-only --find --show old)
"$VMA_RESTORE" extract -f -d "a=$device" -d "b=$constant" x.vma 2> err
code=$?
losetup --detach "$constant"
case $code in
1) expect_message "cannot open '$constant': Permission denied" ;;
2) expect_message "'$constant' is read-only" ;;
*) fail "exit code $code with a read-only device" ;;
esac
untouched
cat > hold.py <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
print('held', flush=True)
sys.stdin.read()
END
coproc python3 hold.py "$device"
read -r _ <&"${COPROC[0]}"
expect_exit 1 "$VMA_RESTORE" extract -f -d "a=$device" x.vma
expect_message "in use (mounted, for instance): Device or resource busy"
untouched
eval "exec ${COPROC[1]}>&-"
wait

# A QEMU that has it open is left alone, and none gets it meanwhile.
if type qemu-io > /dev/null 2>&1; then
    coproc qemu-io -f raw "$device"
    read -rn 1 _ <&"${COPROC[0]}"
    expect_exit 1 "$VMA_RESTORE" extract -f -d "a=$device" x.vma
    expect_message "cannot open '$device': it is in use, by a QEMU"
    untouched
    eval "exec ${COPROC[1]}>&-"
    wait
    mkfifo pipe
    "$VMA_RESTORE" extract -f -d "a=$device" -d b=new - < pipe 2> err &
    exec 9> pipe
    head -c 100000 x.vma >&9
    for _ in {1..500}; do
        [ "$(find . -name 'new.*' | wc -l)" = 1 ] && break
        sleep 0.01
    done
    ! qemu-io -f raw -r -c 'read 0 512' "$device" > qemu.log 2>&1 ||
        fail "a QEMU got the device"
    grep -q lock qemu.log || fail "not for its locks: $(cat qemu.log)"
    tail -c +100001 x.vma >&9
    exec 9>&-
    wait $! || fail "not restored: $(cat err)"
    qemu-io -f raw -r -c 'read 0 512' "$device" > qemu.log 2>&1 ||
        fail "it is still locked: $(cat qemu.log)"
    whole "$device" a.raw
    fill
    rm new pipe
else
    echo "not tried with a QEMU: no qemu-io"
fi
if mkfs.ext4 -q "$device2" 2> /dev/null && mkdir mnt &&
    mount "$device2" mnt 2> /dev/null; then
    expect_exit 1 "$VMA_RESTORE" extract -f -d "a=$device2" x.vma
    umount mnt
    expect_message "in use (mounted, for instance)"
else
    echo "not tried with a mounted device: no mkfs.ext4, or no mounts here"
fi

# A cut shows at the end of an archive with an end mark, before anything is
# written, and in others by their headers, which are read first if not all disks
# are wanted; out of a pipe it comes too late.
"$VMA_DUMP" a=a.raw 2> /dev/null | "$VMA_SINK" -o ours.vma || fail "no archive"
size=$(stat -c %s ours.vma)
head -c $((size - 512)) ours.vma > cut.vma
expect_exit 4 "$VMA_RESTORE" extract -f -d "a=$device" cut.vma
expect_message 'the archive does not end with its end mark'
untouched
head -c 2000000 x.vma > cut.vma
expect_exit 4 "$VMA_RESTORE" extract -f -d "a=$device" cut.vma
expect_message 'nothing was restored: '
untouched
# shellcheck disable=SC2002 # this is about a pipe
cat cut.vma |
    expect_exit 4 "$VMA_RESTORE" extract -f -d "a=$device" -d b=new -
expect_message "'$device' has been partly overwritten, nothing else was restored: "
expect_no_file new

# --zeroed writes no zeroes: they are what was there.
fill
expect_exit 0 "$VMA_RESTORE" extract -f --zeroed -d "a=$device" x.vma
python3 - "$device" <<'END' || fail "--zeroed changed what it should not"
import sys
disk = open('a.raw', 'rb').read()
got = open(sys.argv[1], 'rb').read(len(disk))
zero, old = bytes(4096), b'\xff' * 4096
for i in range(0, len(disk), 4096):
    block = disk[i:i + 4096]
    n = len(block)
    assert got[i:i + n] == (old[:n] if block == zero[:n] else block), i
END

# What a damaged archive has lost is zeroes there, and not the old contents.
printf 'x' | dd of=ours.vma bs=1 seek=1500000 conv=notrunc status=none
fill
expect_exit 3 "$VMA_RESTORE" extract -f --salvage -d "a=$device" ours.vma
expect_message 'restored what is whole: '
grep -q "^lost: disk 'a'" err || fail "nothing is listed"
expect_exit 3 "$VMA_RESTORE" extract --salvage -d a=salvaged ours.vma
! cmp -s salvaged a.raw || fail "nothing is lost"
whole "$device" salvaged

case $(ldd "$VMA_RESTORE") in
*libasan*) exit 0 ;;        # a preloaded library does not go with it
esac
shim() {
    rm -f log
    env "$@" FAULT_REPORT="$T/calls" FAULT_LOG="$T/log" \
        LD_PRELOAD="$B/tests/fault.so" \
        "$VMA_RESTORE" extract -f -d "a=$device" -d b=new x.vma
}
# A device that can't zero itself gets zeroes written.
fill
expect_exit 0 shim FAULT_NO_ZEROING=1
grep -q ^no-fallocate log || fail "no hole was tried"
grep -q ^no-zeroout log || fail "BLKZEROOUT was not tried"
whole "$device" a.raw
rm new
expect_exit 0 shim
grep -q '^fallocate' log || fail "no hole was punched"
[ "$(grep -n fsync log | head -n 1)" = \
    "$(grep -n "fsync $(basename "$device")" log)" ] ||
    fail "the device is not synced before the file"
grep -A 99 "fsync $(basename "$device")" log | grep renameat2 > /dev/null ||
    fail "the file has its name before the device is synced"
calls=$(cat calls)
rm new

# Whichever call fails: an error that says so and no file, or all is right.
for ((n = 1; n <= calls; n += n > 20 && n < calls - 67 ? 37 : 1)); do
    shim FAULT_AT=$n FAULT_ERRNO=28 2> err
    code=$?
    last=$(sed -n "${n}p" log)
    case $code,$last in
    0,fallocate*)
        whole "$device" a.raw
        rm new
        ;;
    1,*)
        expect_no_file new
        grep -q "nothing else was restored\|nothing was restored" err ||
            fail "call $n, $last: $(cat err)"
        if sed "$n,\$d" log | grep "^pwrite $(basename "$device")" > /dev/null; then
            grep -q "'$device' \(was restored\|has been partly\)" err ||
                fail "call $n, $last: $(cat err)"
        fi
        ;;
    *) fail "call $n of $calls, $last: exit code $code: $(cat err)" ;;
    esac
done
