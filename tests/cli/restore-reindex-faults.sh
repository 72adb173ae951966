#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whichever call on reindex's output fails, and whichever signal comes while it
# waits for its archive, it ends with exit code 1; there is no output, and what
# it was to replace stays.
. "$(dirname "$0")/lib.sh"

truncate -s 4M image
head -c 2M /dev/urandom | dd of=image bs=64K seek=10 conv=notrunc status=none
"$VMA_DUMP" disk=image 2> err | "$VMA_SINK" -o in.vma 2> err ||
    fail "no archive"

for signal in INT TERM HUP; do
    echo old > out.vma.zst
    expect_interrupted $signal in.vma 1000000 \
        "$VMA_RESTORE" reindex -f - out.vma.zst
    [ "$(cat out.vma.zst)" = old ] || fail "SIG$signal: it was replaced"
    expect_no_file out.vma.zst.*
    rm out.vma.zst
done

case $(ldd "$VMA_RESTORE") in
*libasan*) exit 0 ;;        # a preloaded library does not go with it
esac
reindex() {
    LD_PRELOAD=$B/tests/fault.so "$VMA_RESTORE" reindex -f "$@"
}
export FAULT_REPORT=$T/calls
for options in out.vma out.vma.zst '--sort out.vma.zst'; do
    out=${options#* }
    # shellcheck disable=SC2086 # several
    set -- ${options% *}
    [ "$1" = --sort ] || set --
    expect_exit 0 reindex "$@" in.vma "$out"
    calls=$(cat calls)
    [ "$calls" -ge 6 ] || fail "only $calls calls: the shim does not work"
    mv "$out" whole
    for ((n = 1; n <= calls; n++)); do
        echo old > "$out"
        FAULT_AT=$n FAULT_ERRNO=28 expect_exit 1 \
            reindex "$@" in.vma "$out" 2> /dev/null
        # The last call of all is the folder's sync: it has its name then.
        if [ "$n" = "$calls" ]; then
            cmp "$out" whole || fail "call $n of $calls: it is not whole"
        else
            [ "$(cat "$out")" = old ] || fail "call $n of $calls: replaced"
        fi
        expect_no_file "$out".*
    done
    rm "$out"
done
