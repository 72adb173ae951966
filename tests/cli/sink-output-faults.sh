#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Whichever call on the output fails, vma-sink says so with exit code 1 and
# leaves no file; and short writes lose nothing.
. "$(dirname "$0")/lib.sh"

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
sink() {
    LD_PRELOAD=$B/tests/fault.so "$VMA_SINK" "$@" -o a.vma < stream
}
# A header and two extents: 64 clusters, half of them data.
truncate -s 4M image
head -c 2M /dev/urandom | dd of=image bs=64K seek=10 conv=notrunc status=none
"$VMA_DUMP" disk=image > stream || fail "no stream"

export FAULT_REPORT=$T/calls
expect_exit 0 sink
calls=$(cat calls)
[ "$calls" -ge 8 ] || fail "only $calls calls: the shim does not work"
mv a.vma whole.vma

for force in '' --force; do
    for errno in 5 28; do
        for ((n = 1; n <= calls; n++)); do
            FAULT_AT=$n FAULT_ERRNO=$errno expect_exit 1 \
                sink ${force:+"$force"} 2> /dev/null
            # With --force the last call of all, the folder's sync, comes when
            # the new archive has its name: it stays, being whole.
            if [ -n "$force" ] && [ -e a.vma ]; then
                if [ "$n" != "$calls" ] || ! cmp -s a.vma whole.vma; then
                    fail "call $n of $calls left a file"
                fi
                rm a.vma
            fi
            expect_no_file a.vma a.vma.*
        done
    done
done

FAULT_SHORT=1 expect_exit 0 sink
cmp a.vma whole.vma || fail "short writes changed the archive"
