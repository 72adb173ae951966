#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGINT, SIGTERM and SIGHUP end vma-sink with exit code 1, also while it waits
# for a producer that sends nothing, and leave no file; also where threads read
# ahead, or write behind.
. "$(dirname "$0")/lib.sh"

mkfifo pipe
head -c 16M /dev/urandom > image
"$VMA_DUMP" disk=image > stream || fail "no stream"
for signal in INT TERM HUP; do
    # The last is four extents, of which some are written.
    for bytes in 0 40 200 700 15000000; do
        for buffer in 0 1M; do
            # (A background job of a script would ignore SIGINT.)
            env --default-signal=INT "$VMA_SINK" -o a.vma --buffer $buffer \
                < pipe 2> err &
            pid=$!
            exec 9> pipe
            head -c "$bytes" stream >&9
            for _ in {1..200}; do
                compgen -G 'a.vma.*' > /dev/null && break
                sleep 0.01
            done
            sleep 0.02
            kill -s "$signal" "$pid"
            wait "$pid"
            code=$?
            exec 9>&-
            [ "$code" = 1 ] || fail "SIG$signal after $bytes bytes: exit $code"
            grep -q "interrupted by SIG$signal" err || fail "$(cat err)"
            expect_no_file a.vma a.vma.*
        done
    done
done
