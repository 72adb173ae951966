#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Before a file has its name it is synced, and before success is said its
# folder is, for an archive and for all files of a restore; and whichever call
# on the output fails, vma-restore says so and leaves nothing.
. "$(dirname "$0")/lib.sh"

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
logged() {
    rm -f log
    FAULT_LOG=$T/log LD_PRELOAD=$B/tests/fault.so "$@"
}
# The calls but for the writes, with the temporary names' random part cut out.
order() {
    grep -v '^pwrite\|^writev\|^ftruncate' log |
        sed -E 's/\.[A-Za-z0-9]{6}\.partial/.TEMP/'
}

truncate -s 4M a.raw
head -c 1M /dev/urandom | dd of=a.raw bs=64K seek=10 conv=notrunc status=none
head -c 100K /dev/urandom > b.raw
"$VMA_DUMP" a=a.raw b=b.raw > stream 2> err || fail "no stream"

mkdir store
expect_exit 0 logged "$VMA_SINK" -o store/x.vma < stream
cat > expected <<'END'
mkostemps -
fsync x.vma.TEMP
close x.vma.TEMP
renameat2 -
fsync store
END
diff expected <(order) || fail "another order of calls for an archive"

logged "$VMA_SINK" -o - < stream > out.vma 2> err || fail "$(cat err)"
grep -q '^fsync out.vma' log || fail "standard output is not synced"

# Everything is synced, the parent of a new folder too, before the first name.
expect_exit 0 logged "$VMA_RESTORE" extract store/x.vma new
cat > expected <<END
fsync disk-a.raw.TEMP
fsync disk-b.raw.TEMP
fsync $(basename "$T")
END
diff expected <(order | sed '/^renameat2/,$d' | grep ^fsync | head -n 3) ||
    fail "another order of calls before the first name"
[ "$(order | grep -c '^renameat2')" = 2 ] || fail "not two names"
[ "$(order | tail -n 1)" = 'fsync new' ] || fail "the folder is not synced last"

rm -r new
extract() {
    FAULT_REPORT=$T/calls logged "$VMA_RESTORE" extract store/x.vma new
}
expect_exit 0 extract
calls=$(cat calls)
[ "$calls" -ge 12 ] || fail "only $calls calls: the shim does not work"
rm -r new
for ((n = 1; n <= calls; n++)); do
    FAULT_AT=$n FAULT_ERRNO=28 LD_PRELOAD=$B/tests/fault.so \
        "$VMA_RESTORE" extract store/x.vma new 2> err
    code=$?
    [ "$code" = 1 ] || fail "call $n of $calls: exit code $code: $(cat err)"
    expect_no_file new
done
