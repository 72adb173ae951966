#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# No file is overwritten without --force, and with it only by a good restore.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 300000 1
"$mkvma" --image b.raw 300000 2
"$mkvma" x.vma a=a.raw b=b.raw
mkdir out
echo precious > out/disk-b.raw
echo other > out/other

expect_exit 2 "$VMA_RESTORE" extract x.vma out
expect_message "cannot create 'out/disk-b.raw': file exists"
expect_message 'nothing was restored: '
[ "$(cat out/disk-b.raw)" = precious ] || fail "overwritten"
expect_no_file out/disk-a.raw*
expect_exit 0 "$VMA_RESTORE" extract -d a x.vma out

head -c 100000 x.vma > cut.vma
expect_exit 4 "$VMA_RESTORE" extract --force cut.vma out
[ "$(cat out/disk-b.raw)" = precious ] || fail "replaced by a bad restore"

expect_exit 0 "$VMA_RESTORE" extract -f x.vma out
cmp a.raw out/disk-a.raw || fail "disk a differs"
cmp b.raw out/disk-b.raw || fail "disk b differs"
[ "$(cat out/other)" = other ] || fail "the folder's other file is gone"

# When the last name can't be had, a file that replaced another one stays, since
# the other is gone; new ones go; and the message tells.
rm out/disk-b.raw
echo old > out/disk-a.raw
printf 'name: x\n' > vm.conf
"$mkvma" y.vma -c vm.conf=vm.conf a=a.raw b=b.raw
mkfifo pipe
"$VMA_RESTORE" extract --force - out < pipe 2> err &
exec 9> pipe
head -c 100000 y.vma >&9
for _ in {1..500}; do
    [ "$(find out -name 'vm.conf.*' | wc -l)" = 1 ] && break
    sleep 0.01
done
mkdir out/vm.conf
tail -c +100001 y.vma >&9
exec 9>&-
wait $!
code=$?
[ "$code" = 1 ] || fail "exit code $code: $(cat err)"
expect_message '1 of 3 files were restored: '
[ "$(ls -A out)" = $'disk-a.raw\nother\nvm.conf' ] || fail "files: $(ls -A out)"
cmp a.raw out/disk-a.raw || fail "disk a differs"

# Nothing that is restored may take the archive's place: no config, no disk.
"$mkvma" vm.vma -c in.vma=vm.conf -c vm.conf=vm.conf a=a.raw b=b.raw
for name in in.vma vm.conf disk-b.raw; do
    mkdir in
    cp vm.vma "in/$name"
    ln "in/$name" link.vma
    expect_exit 2 "$VMA_RESTORE" extract -f "in/$name" in
    expect_message "'in/$name' is the archive itself"
    expect_exit 2 "$VMA_RESTORE" extract -f link.vma in
    expect_exit 2 "$VMA_RESTORE" extract -f - in < "in/$name"
    cmp vm.vma "in/$name" || fail "the archive is overwritten"
    [ "$(ls -A in)" = "$name" ] || fail "files: $(ls -A in)"
    expect_exit 2 "$VMA_RESTORE" extract -d a=- link.vma >> "in/$name"
    expect_message "standard output is the archive itself"
    cmp vm.vma "in/$name" || fail "the archive is written to"
    rm -r in link.vma
done
