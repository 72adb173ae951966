#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The command vma takes the command lines of Proxmox's tool and prints what
# scripts parse: list, config, create, extract to a folder and by a map of
# targets in several formats, verify.
. "$(dirname "$0")/lib.sh"

VMA=$(dirname "$VMA_SINK")/vma
command -v qemu-img > /dev/null || skip "no qemu-img"
command -v qemu-nbd > /dev/null || skip "no qemu-nbd"
export TZ=UTC

# One disk of 4 MiB with 1 MiB and a block of data, a raw one of 1 MiB.
truncate -s 4M a.raw
head -c 1M /dev/urandom | dd of=a.raw bs=64K seek=8 conv=notrunc status=none
head -c 4096 /dev/urandom | dd of=a.raw bs=4K seek=3 conv=notrunc status=none
head -c 1M /dev/urandom > b.raw
qemu-img convert -O qcow2 a.raw a.qcow2
mkdir etc
echo 'cores: 2' > etc/qemu-server.conf
echo 'firewall' > etc/qemu-server.fw

expect_exit 0 "$VMA" create x.vma -c etc/qemu-server.conf \
    -c etc/qemu-server.fw -d format=qcow2:drive-scsi0="$T/a.qcow2" \
    -d format=raw:drive-scsi1=b.raw
expect_exit 2 "$VMA" create x.vma -d format=raw:d=b.raw
expect_exit 2 "$VMA" create y.vma -d d=b.raw
expect_message 'No format specified'
expect_no_file y.vma
expect_exit 0 "$VMA" create old.vma b.raw
"$VMA" list old.vma | grep -q '^DEV: dev_id=1 size: 1048576 devname: disk0$' ||
    fail "not named as ever: $("$VMA" list old.vma)"
mkfifo fifo
cat fifo > z.vma &
expect_exit 0 "$VMA" create fifo -d format=raw:d=b.raw
wait $!
"$VMA_RESTORE" verify z.vma > verdict 2> err || fail "$(cat err)"
expect_exit 0 "$VMA" create 'exec:cat > w.vma' -d format=raw:d=b.raw
expect_exit 1 "$VMA" create 'exec:cat > /dev/null; exit 3' -d format=raw:d=b.raw
expect_message 'creating vma archive failed (the command)'
"$VMA_RESTORE" verify w.vma > verdict 2> err || fail "$(cat err)"
expect_exit 1 "$VMA" create v.vma -d format=qcow2:d=b.raw
expect_no_file v.vma

"$VMA" list x.vma > out 2> err || fail "$(cat err)"
cat > wanted <<'END'
CFG: size: 9 name: qemu-server.conf
CFG: size: 9 name: qemu-server.fw
DEV: dev_id=1 size: 4194304 devname: drive-scsi0
DEV: dev_id=2 size: 1048576 devname: drive-scsi1
END
head -n 4 out | diff wanted - > difference || fail "$(cat difference)"
sed -n 5p out | grep -qE '^CTIME: [A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} 20[0-9]{2}$' ||
    fail "$(cat out)"
[ "$(wc -l < out)" = 5 ] || fail "$(cat out)"
"$VMA" config x.vma | cmp - etc/qemu-server.conf || fail "another config"
"$VMA" config x.vma -c qemu-server.fw | cmp - etc/qemu-server.fw ||
    fail "another config"
expect_exit 2 "$VMA" config x.vma -c none

# Nothing is said of a good archive, unless asked for.
"$VMA" verify x.vma > out 2> err || fail "$(cat err)"
[ ! -s out ] || fail "$(cat out)"
verbose() {
    cat <<'END'
total bytes read 5242880, sparse bytes 3141632 (59.9%)
space reduction due to 4K zero blocks 2.92%
END
}
"$VMA" verify x.vma -v > out 2> err || fail "$(cat err)"
tail -n 2 out | diff <(verbose) - > difference || fail "$(cat difference)"
grep -qE '^progress 100% \(read 5242880 bytes, duration [0-9]+ sec\)$' out ||
    fail "$(cat out)"
head -n -4 out | grep -q '^CTIME' || fail "$(cat out)"
head -c -600 x.vma > cut.vma
expect_exit 4 "$VMA" verify cut.vma
expect_message 'verify failed - '

# To a folder, which must not be there.
"$VMA" extract x.vma -v folder > out 2> err || fail "$(cat err)"
cat > wanted <<'END'
DEVINFO folder/tmp-disk-drive-scsi0.raw 4194304
DEVINFO folder/tmp-disk-drive-scsi1.raw 1048576
END
head -n 2 out | diff wanted - > difference || fail "$(cat difference)"
tail -n 2 out | diff <(verbose) - > difference || fail "$(cat difference)"
ls folder > files
printf '%s\n' disk-drive-scsi0.raw disk-drive-scsi1.raw qemu-server.conf \
    qemu-server.fw | diff - files > difference || fail "$(cat difference)"
cmp a.raw folder/disk-drive-scsi0.raw || fail "another disk"
expect_exit 2 "$VMA" extract x.vma folder
expect_message 'unable to create target directory folder - File exists'
expect_exit 0 "$VMA" extract -d drive-scsi1,other x.vma part
ls part > files
printf '%s\n' disk-drive-scsi1.raw qemu-server.conf qemu-server.fw |
    diff - files > difference || fail "$(cat difference)"

# By a map, which the reader of the contents writes; out of a pipe.
mkfifo map
targets() { # LINE... ; then what "vma extract" prints is in out
    rm -rf folder
    (
        until grep -q ^CTIME out 2> /dev/null; do sleep 0.02; done
        printf '%s\n' "$@" 'done' > map
    ) &
    : > out
    "$VMA" extract -v -r map - folder < x.vma > out 2> err
    code=$?
    wait $!
}
qemu-img create -q -f qcow2 t.qcow2 4M
head -c 2M /dev/urandom > t.img
targets "format=qcow2:throttling.bps=1073741824:1:drive-scsi0=$T/t.qcow2" \
    "format=raw:cache=unsafe:1:drive-scsi1=$T/t.img"
[ $code = 0 ] || fail "exit code $code: $(cat err)"
grep -q '^DEV: dev_id=2' out || fail "$(cat out)"
! grep -q ^DEVINFO out || fail "$(cat out)"
qemu-img compare -q -f qcow2 -F raw t.qcow2 a.raw || fail "another disk"
# In place: the same file, larger than the disk, and its end as it was.
[ "$(stat -c %s t.img)" = 2097152 ] || fail "not in place"
head -c 1M t.img | cmp - b.raw || fail "another disk"
ls folder > files
printf '%s\n' qemu-server.conf qemu-server.fw | diff - files > difference ||
    fail "$(cat difference)"
truncate -s 4M new.raw
targets 'skip=drive-scsi1' "0:drive-scsi0=$T/new.raw"
[ $code = 0 ] || fail "exit code $code: $(cat err)"
cmp a.raw new.raw || fail "another disk"
# The last one for a disk counts.
truncate -s 0 new.raw
truncate -s 4M new.raw
targets 'skip=drive-scsi0' 'skip=drive-scsi1' 'skip=drive-scsi0' \
    "0:drive-scsi0=$T/new.raw"
[ $code = 0 ] || fail "exit code $code: $(cat err)"
cmp a.raw new.raw || fail "another disk"
targets "format=raw:0:drive-scsi0=$T/new.raw"
[ $code = 2 ] || fail "exit code $code: $(cat err)"
expect_message "has no disk 'drive-scsi1'"
for line in nonsense 'format=raw' 'cache=unsafe:cache=unsafe:0:drive-scsi0=x' \
    'throttling.bps=0:0:drive-scsi0=x' 'throttling.bps=1k:0:drive-scsi0=x' \
    '0:drive-scsi0' '0:drive-scsi0=' '0:=x' '2:drive-scsi0=x' 'skip='; do
    targets "$line"
    [ $code = 2 ] || fail "$line: exit code $code: $(cat err)"
    expect_message 'the map of targets: '
    expect_no_file folder
done
targets "format=qcow2:1:drive-scsi0=$T/b.raw" 'skip=drive-scsi1'
[ $code = 1 ] || fail "exit code $code: $(cat err)"
! pgrep -f "qemu-nbd.*$T" > /dev/null || fail "a server is left"
