#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With threads that compress, too, whichever call on the output fails, a full
# disk, a reader that goes away or a signal end vma-sink with exit code 1, and
# no file is left.
. "$(dirname "$0")/lib.sh"

# Incompressible, so that the output is as large: ten extents.
head -c 38M /dev/urandom > image
"$VMA_DUMP" disk=image > stream || fail "no stream"

for signal in INT TERM HUP; do
    mkfifo pipe
    env --default-signal=INT "$VMA_SINK" --compress=zstd:19 -T 3 -o a.vma.zst \
        < pipe 2> err &
    pid=$!
    exec 9> pipe
    # It compresses some, and waits for more.
    head -c 20M stream >&9
    kill -s "$signal" "$pid"
    wait "$pid"
    code=$?
    exec 9>&-
    [ "$code" = 1 ] || fail "SIG$signal: exit $code"
    grep -q "interrupted by SIG$signal" err || fail "$(cat err)"
    expect_no_file a.vma.zst a.vma.zst.*
    rm pipe
done

# A file that may not grow any more.
(
    ulimit -f 20000
    expect_exit 1 "$VMA_SINK" -T 3 -o a.vma.zst < stream
) || exit 1
expect_no_file a.vma.zst a.vma.zst.*
expect_exit 1 "$VMA_SINK" --compress=zstd -T 3 -o - < stream > /dev/full
expect_message 'No space left'
# The reader goes away while threads compress.
"$VMA_SINK" --compress=zstd -T 3 -o - < stream 2> err |
    head -c 5000000 > /dev/null
[ "${PIPESTATUS[0]}" = 1 ] || fail "exit code ${PIPESTATUS[0]}"
expect_message 'the reader has ended, see its message'

# A stream that ends early, or is damaged, with frames on their way.
head -c 30M stream > short
expect_exit 4 "$VMA_SINK" -T 3 -o a.vma.zst < short
expect_no_file a.vma.zst a.vma.zst.*

case $(ldd "$VMA_SINK") in
*libasan*) exit 0 ;;        # a preloaded library does not go with it
esac
export FAULT_REPORT=$T/calls
sink() {
    LD_PRELOAD=$B/tests/fault.so "$VMA_SINK" -T 2 -o a.vma.zst < stream
}
expect_exit 0 sink
calls=$(cat calls)
[ "$calls" -ge 14 ] || fail "only $calls calls: the shim does not work"
mv a.vma.zst whole.zst
for ((n = 1; n <= calls; n++)); do
    FAULT_AT=$n FAULT_ERRNO=28 expect_exit 1 sink 2> /dev/null
    expect_no_file a.vma.zst a.vma.zst.*
done
FAULT_SHORT=1 expect_exit 0 sink
cmp a.vma.zst whole.zst || fail "short writes changed the archive"
