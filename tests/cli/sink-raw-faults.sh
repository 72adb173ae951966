#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --format=raw: every file and the folder are synced before the folder has its
# name, and its parent after that; whichever call fails, vma-sink says so, leaves
# nothing, and with --force the old folder as it was; short writes lose nothing.
. "$(dirname "$0")/lib.sh"

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
sink() {
    LD_PRELOAD=$B/tests/fault.so "$VMA_SINK" --format=raw "$@" -o out < stream
}
truncate -s 4M a
head -c 1M /dev/urandom | dd of=a bs=64K seek=10 conv=notrunc status=none
head -c 100K /dev/urandom > b
echo 'name: x' > vm.conf
"$VMA_DUMP" a=a b=b -c vm.conf > stream 2> err || fail "no stream"

FAULT_LOG=$T/log expect_exit 0 sink
cat > expected <<END
mkdir -
openat -
openat -
openat -
fsync disk-a.raw
close disk-a.raw
fsync disk-b.raw
close disk-b.raw
fsync vm.conf
close vm.conf
fsync out.TEMP
renameat2 -
fsync $(basename "$T")
END
diff expected <(grep -v '^pwrite\|^writev\|^ftruncate' log |
    sed -E 's/\.[A-Za-z0-9]{6}\.partial/.TEMP/') || fail "another order"
mv out whole

export FAULT_REPORT=$T/calls
mkdir old
echo precious > old/file
echo old > old/disk-a.raw
for force in '' --force; do
    rm -rf out
    [ -z "$force" ] || cp -r old out
    expect_exit 0 sink ${force:+"$force"} 2> /dev/null
    diff -r whole out || fail "another content"
    calls=$(cat calls)
    [ "$calls" -ge 16 ] || fail "only $calls calls: the shim does not work"
    for errno in 5 28; do
        for ((n = 1; n <= calls; n++)); do
            rm -rf out
            [ -z "$force" ] || cp -r old out
            FAULT_AT=$n FAULT_ERRNO=$errno expect_exit 1 \
                sink ${force:+"$force"} 2> /dev/null
            expect_no_file out.*
            if [ -n "$force" ]; then
                diff -r old out || fail "call $n of $calls changed the folder"
            else
                expect_no_file out
            fi
        done
    done
done

# A file system that does not exchange folders is found out at once.
rm -rf out
cp -r old out
mkfifo never
exec 8<> never
FAULT_LOG=$T/log FAULT_AT=3 FAULT_ERRNO=22 LD_PRELOAD=$B/tests/fault.so \
    expect_exit 1 timeout 10 "$VMA_SINK" --format=raw -f -o out <&8
expect_message 'does not exchange folders'
diff -r old out || fail "changed"
exec 8>&-

rm -rf out
FAULT_SHORT=1 expect_exit 0 sink
diff -r whole out || fail "short writes changed the images"

# A limit in the place of a full disk.
rm -rf out
(
    ulimit -f 500
    expect_exit 1 sink
) || exit 1
expect_message 'File too large'
expect_no_file out out.*

for signal in INT TERM HUP; do
    expect_interrupted $signal stream 100000 "$VMA_SINK" --format=raw -o out
    expect_no_file out out.*
done
