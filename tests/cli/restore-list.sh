#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# list and config print what the header tells, and read no more than that.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000000 1
truncate -s 1M b.raw
printf 'name: x\nno newline' > one.conf
: > two.conf
"$mkvma" x.vma -c vm.conf=one.conf -c vm.fw=two.conf drive-scsi0=a.raw b=b.raw
"$mkvma" one.vma -c vm.conf=one.conf b=b.raw
"$mkvma" none.vma b=b.raw
head -c 12800 x.vma > header.vma

cat > expected <<'EOF'
uuid     10111213-1415-1617-1819-1a1b1c1d1e1f
created  2023-11-15T01:13:20+03:00 (2023-11-14T22:13:20Z)
digests  none

     bytes  config
        18  vm.conf
         0  vm.fw

 id           bytes        size  device
  1        10000000     9.5 MiB  drive-scsi0
  2         1048576     1.0 MiB  b
EOF
"$VMA_SINK" -o ours.vma < "$(vector example)" 2> err
"$VMA_RESTORE" list ours.vma | grep -qx 'digests  XXH3, and an end mark' ||
    fail "no word of digests"
for archive in x.vma header.vma; do
    TZ=XYZ-3 expect_exit 0 "$VMA_RESTORE" list "$archive" > printed
    diff expected printed || fail "another list of $archive"
done

# Behind the header there may be nothing to read for as long as it takes.
mkfifo pipe
(cat header.vma; exec sleep 60) > pipe &
TZ=XYZ-3 expect_exit 0 timeout 20 "$VMA_RESTORE" list - < pipe > printed
diff expected printed || fail "another list from a pipe"

expect_exit 0 "$VMA_RESTORE" config header.vma vm.conf > out
cmp one.conf out || fail "config differs"
expect_exit 0 "$VMA_RESTORE" config header.vma vm.fw > out
cmp two.conf out || fail "empty config differs"
expect_exit 0 "$VMA_RESTORE" config one.vma > out
cmp one.conf out || fail "the only config differs"
expect_exit 0 "$VMA_RESTORE" config none.vma > out
cmp /dev/null out || fail "config out of nothing"
expect_exit 0 "$VMA_RESTORE" config x.vma > out
printf '==> vm.conf <==\nname: x\nno newline\n==> vm.fw <==\n' | cmp - out ||
    fail "all configs differ"
expect_exit 2 "$VMA_RESTORE" config x.vma vm
expect_message "the archive has no config 'vm'"
