#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A restore that fails leaves nothing: no file, no temporary file, no new
# folder; and a folder that was there keeps what it had.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 1000000 1
"$mkvma" --image b.raw 3000000 2
printf 'name: x\n' > vm.conf
"$mkvma" x.vma -n 7 -c vm.conf=vm.conf a=a.raw b=b.raw
size=$(stat -c %s x.vma)

nothing_in() { # FOLDER
    [ -z "$(ls -A "$1")" ] || fail "left over: $(ls -A "$1")"
}

# The archive is bad, at its end.
mkdir there
head -c $((size - 1)) x.vma > cut.vma
{ cat x.vma; echo more; } > more.vma
for archive in cut.vma:4 more.vma:3; do
    expect_exit "${archive#*:}" "$VMA_RESTORE" extract "${archive%:*}" new
    expect_message 'nothing was restored: '
    expect_no_file new
    expect_exit "${archive#*:}" "$VMA_RESTORE" extract "${archive%:*}" there
    nothing_in there
done

# The output is bad: a limit in the place of a full disk.
(
    ulimit -f 2000
    expect_exit 1 "$VMA_RESTORE" extract x.vma new
) || exit 1
expect_message 'File too large'
expect_message 'nothing was restored: '
expect_no_file new

# The last name can't be had any more once the archive is read.
mkfifo pipe
"$VMA_RESTORE" extract - there < pipe 2> err &
exec 9> pipe
head -c 100000 x.vma >&9
for _ in {1..500}; do
    [ "$(find there -name 'vm.conf*' | wc -l)" = 1 ] && break
    sleep 0.01
done
early=$(find there -type f ! -name '*.partial')
[ -z "$early" ] || fail "under its name too early: $early"
echo precious > there/vm.conf
tail -c +100001 x.vma >&9
exec 9>&-
wait $!
code=$?
[ "$code" = 1 ] || fail "exit code $code"
expect_message 'nothing was restored: '
[ "$(ls -A there)" = vm.conf ] || fail "left over: $(ls -A there)"
[ "$(cat there/vm.conf)" = precious ] || fail "overwritten"
