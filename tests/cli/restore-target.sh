#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# -d NAME=TARGET restores a disk to that file, all or nothing like a folder's
# files, and refuses what is ambiguous or would be written twice.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
for i in 1 2 3; do
    "$mkvma" --image $i.raw 300000 $i
done
printf 'name: x\n' > vm.conf
"$mkvma" x.vma -c vm.conf=vm.conf a=1.raw b=2.raw vmstate=3.raw
size=$(stat -c %s x.vma)

expect_exit 0 "$VMA_RESTORE" extract -d a=one.img x.vma
expect_message 'one.img: 1 disk, 293.0 KiB ('
cmp 1.raw one.img || fail "disk a differs"
mkdir sub
expect_exit 0 "$VMA_RESTORE" extract -d a=sub/a.img -d b -d vmstate=mem x.vma out
expect_message 'vma-restore: 3 disks, '
cmp 1.raw sub/a.img || fail "disk a differs"
cmp 2.raw out/disk-b.raw || fail "disk b differs"
cmp -n 300000 3.raw mem || fail "the memory differs"
[ "$(ls out)" = disk-b.raw ] || fail "files: $(ls out)"

# Names with '=': the whole argument first, then the first '=' that fits.
mkdir equals
cat > equals.py <<'END'
import sys
sys.path.insert(0, sys.argv[1])
import mkvma
images = [open(f'../{i}.raw', 'rb').read() for i in (1, 2, 3)]
names = [b'x', b'x=y', b'=']
open('x.vma', 'wb').write(mkvma.archive(list(zip(names, images))))
END
(
    cd equals || exit 1
    python3 ../equals.py "$ROOT/tests/lib"
    expect_exit 0 "$VMA_RESTORE" extract -d x=y x.vma out
    cmp ../2.raw 'out/disk-x=y.raw' || fail "the whole name is not the disk"
    expect_exit 0 "$VMA_RESTORE" extract -d x=y=z x.vma
    cmp ../1.raw y=z || fail "the first '=' does not split"
    expect_exit 0 "$VMA_RESTORE" extract -d ===z x.vma
    cmp ../3.raw =z || fail "the name '=' does not split"
) || exit 1

# A file that is there is replaced only with --force, and only by a good disk.
echo precious > one.img
expect_exit 2 "$VMA_RESTORE" extract -d b=one.img x.vma
expect_message "cannot create 'one.img': file exists (--force replaces it)"
head -c $((size - 1)) x.vma > cut.vma
expect_exit 4 "$VMA_RESTORE" extract --force -d b=one.img -d a=new cut.vma
expect_message 'nothing was restored: '
[ "$(cat one.img)" = precious ] || fail "overwritten"
expect_no_file new ./*.partial
expect_exit 0 "$VMA_RESTORE" extract --force -d b=one.img x.vma
cmp 2.raw one.img || fail "disk b differs"

refused() { # WORDS ARGUMENT...
    local words=$1
    shift
    expect_exit 2 "$VMA_RESTORE" extract "$@"
    expect_message "$words"
    expect_message 'nothing was restored: '
    expect_no_file new new2 ./*.partial
}
refused "the archive has no disk 'c'" -d c=new x.vma
refused "disk 'a' is named twice" -d a=new -d a=new2 x.vma
refused "disk 'a' is named twice" -d a -d a=new x.vma new2
refused "disk 'a' has an empty target" -d a= x.vma
refused 'there is no FOLDER' -d a=new -d b x.vma
refused 'there is no FOLDER' x.vma
refused "nothing would be restored to the folder 'new2'" -d a=new x.vma new2
refused '--zeroed is for block devices and NBD' --zeroed -d a=new x.vma
refused 'named as the target of two disks' -d a=new -d b=new x.vma
refused 'named as the target of two disks' -d a=new -d b=sub/../new x.vma
refused 'named as the target of two disks' -d a=one.img -d b=./one.img --force x.vma
refused 'named as the target of two disks' -d a -d b=new2/disk-a.raw x.vma new2
refused "'./x.vma' is the archive itself" --force -d a=./x.vma x.vma
refused "'x.vma' is the archive itself" --force -d a=x.vma - < x.vma
refused 'is not a regular file' --force -d a=/dev/null x.vma
refused 'is not a regular file' --force -d a=sub x.vma
expect_exit 1 "$VMA_RESTORE" extract -d a=no/such x.vma

# A device or a URI that is mistyped does not become a file.
for device in /dev/no-such-device "$T/dev/no-such-device"; do
    [ -e dev ] || ln -s /dev dev
    refused 'there is no such device' -d "a=$device" x.vma
    expect_no_file /dev/no-such-device*
done
refused "'nbd:localhost:10809' is no NBD URI" -d a=nbd:localhost:10809 x.vma
refused "(if it is a file: ./nbd:unix:/x)" -d a=nbd:unix:/x x.vma
refused "'nbd+ssh://me@host' is no NBD URI" -d a=nbd+ssh://me:secret@host x.vma
expect_exit 0 "$VMA_RESTORE" extract -d a=./nbd:x x.vma
cmp 1.raw nbd:x || fail "disk a differs"
"$mkvma" twice.vma a=1.raw b=2.raw
python3 - "$ROOT/tests/lib" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
import mkvma
image = open('1.raw', 'rb').read()
open('twice.vma', 'wb').write(mkvma.archive([(b'a', image), (b'a', image)]))
END
refused "more than one disk 'a'" -d a=new twice.vma
