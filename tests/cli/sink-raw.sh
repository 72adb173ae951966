#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --format=raw gives the images and configurations that vma-restore would give of
# the archive of the same stream: same names, contents and sizes, with holes for
# the zeroes, and nothing before the end.
. "$(dirname "$0")/lib.sh"

# Sizes around a block's and a cluster's end, and one of a single sector.
truncate -s 20M big
for at in 0 17 256 4095; do
    printf data | dd of=big bs=4096 seek=$at conv=notrunc status=none
done
head -c 1M /dev/urandom | dd of=big bs=1M seek=9 conv=notrunc status=none
head -c 70144 /dev/urandom > odd
head -c 512 /dev/urandom > sector
head -c 65536 /dev/urandom > cluster
truncate -s 1049088 zero
: > empty
echo 'name: x' > vm.conf
head -c 65535 /dev/urandom > full.conf
: > empty.conf
"$VMA_DUMP" big=big odd=odd sector=sector cluster=cluster zero=zero \
    empty=empty a/b=sector vmstate=odd .=sector ' '=sector \
    -c vm.conf -c full.conf -c empty.conf=.. -c empty.conf > all 2> err ||
    fail "$(cat err)"
expect_exit 0 "$VMA_SINK" --format=raw -o raw/ < all
grep -qE '^raw/: 10 disks, 21.2 MiB \(94% zero\), stored in 1.* MiB, ' err ||
    fail "$(cat err)"
(cd raw && printf '%s\n' *) > names
LC_ALL=C sort > expected <<'END'
%2E.
disk- .raw
disk-..raw
disk-a%2Fb.raw
disk-big.raw
disk-cluster.raw
disk-empty.raw
disk-odd.raw
disk-sector.raw
disk-vmstate.raw
disk-zero.raw
empty.conf
full.conf
vm.conf
END
diff expected <(LC_ALL=C sort names) || fail "other names"
for name in big odd sector cluster zero empty; do
    cmp "$name" "raw/disk-$name.raw" || fail "disk $name differs"
done
cmp odd raw/disk-vmstate.raw || fail "disk vmstate differs"
for name in vm.conf full.conf empty.conf; do
    cmp $name raw/$name || fail "configuration $name differs"
done
# What is not a hole: four blocks and a megabyte; nothing at all.
blocks() { # FILE
    echo $(($(stat -c %b "$1") * $(stat -c %B "$1") / 1024))
}
truncate -s 64M probe
if [ "$(blocks probe)" = 0 ]; then
    [ "$(blocks raw/disk-big.raw)" -le 1100 ] ||
        fail "no holes: $(blocks raw/disk-big.raw) KiB"
    [ "$(blocks raw/disk-zero.raw)" = 0 ] || fail "zeroes were written"
fi

# The same as by way of an archive.
"$VMA_DUMP" big=big odd=odd a/b=sector -c vm.conf > stream 2> err ||
    fail "$(cat err)"
expect_exit 0 "$VMA_SINK" -o a.vma < stream
expect_exit 0 "$VMA_RESTORE" extract a.vma restored
expect_exit 0 "$VMA_SINK" --format raw -o direct < stream
diff -r restored direct || fail "not what vma-restore gives"

for name in any-order run-with-short-end payload-hash ignorable size-0; do
    rm -rf x x.vma y
    expect_exit 0 "$VMA_SINK" -o x.vma < "$(vector "$name")"
    expect_exit 0 "$VMA_RESTORE" extract x.vma x
    expect_exit 0 "$VMA_SINK" --format=raw -o y < "$(vector "$name")"
    diff -r x y || fail "$name: another content"
done

# Under its name there is nothing until the end.
mkfifo pipe
"$VMA_SINK" --format=raw -o late < pipe 2> err &
exec 9> pipe
head -c 300000 stream >&9
for ((i = 0; i < 1000; i++)); do
    compgen -G 'late.*.partial/disk-*' > /dev/null && break
    sleep 0.01
done
[ ! -e late ] || fail "too early"
tail -c +300001 stream >&9
exec 9>&-
wait $! || fail "$(cat err)"
diff -r restored late || fail "another content"
expect_no_file late.*
