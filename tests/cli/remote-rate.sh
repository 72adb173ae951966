#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-sink --rate stores no more of the stream per second, and lets the producer
# wait unless there is a buffer; --stall-timeout gives up a stream of which
# nothing comes, with exit code 4 and nothing left, and nothing else is a stall.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/stalled.sh"

head -c 1600K /dev/urandom > small
"$VMA_DUMP" d=small > small.stream 2> err || fail "$(cat err)"
bytes=$(stat -c %s small.stream)
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# It takes as long as it has to.  That it waits for its own rate, or for room in
# the buffer, is no stall.
for buffer in 0 1M; do
    before=$(now_ms)
    expect_exit 0 "$VMA_SINK" --rate 200K --stall-timeout 1 --buffer $buffer \
        -o $buffer.vma < <(cat small.stream)
    took=$(($(now_ms) - before))
    [ $((took * 200 * 1024 / 1000)) -ge $((bytes - 64 * 1024)) ] ||
        fail "--buffer $buffer: $bytes bytes in $took ms"
    "$VMA_RESTORE" verify $buffer.vma 2> err || fail "$(cat err)"
done

# The producer waits, or has a buffer to write to.
new_pipe() {
    rm -f pipe
    mkfifo pipe
}
rate() { # OPTION...
    rm -f wrote
    new_pipe
    { cat small.stream; touch wrote; } > pipe &
    env --default-signal=INT "$VMA_SINK" --rate 20K "$@" -o b.vma < pipe \
        2> err &
    pid=$!
}
rate --buffer 4M
await 'the producer is done' test -e wrote
kill -0 $pid || fail "vma-sink has ended: $(cat err)"
kill -s INT $pid
wait $pid
code=$?
[ $code = 1 ] || fail "a signal: exit code $code: $(cat err)"
rate
await 'it begins' compgen -G 'b.vma.*'
kill -s TERM $pid
wait $pid
code=$?
[ $code = 1 ] || fail "a signal: exit code $code: $(cat err)"
expect_no_file b.vma b.vma.*

# Nothing comes, from the start, in the preamble, in a header, in a payload.
for buffer in 0 1M; do
    for sent in 0 10 200 232 100000; do
        head -c $sent small.stream > start
        new_pipe
        exec 5<> pipe
        cat start >&5 &
        expect_exit 4 "$VMA_SINK" --stall-timeout 1 --buffer $buffer -o b.vma \
            < pipe
        exec 5>&-
        expect_message 'nothing has come for 1 seconds'
        expect_no_file b.vma b.vma.*
    done
done

# All is there, and the producer keeps its end open.
new_pipe
exec 5<> pipe
cat "$(vector example)" >&5
expect_exit 0 "$VMA_SINK" --stall-timeout 100 -o b.vma < pipe
exec 5>&-

for rate in 0 x -1; do
    expect_exit 2 "$VMA_SINK" --rate=$rate -o c.vma < small.stream
done
expect_exit 2 "$VMA_SINK" --stall-timeout=-1 -o c.vma < small.stream
expect_no_file c.vma
