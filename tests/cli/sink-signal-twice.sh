#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where the first SIGINT or SIGTERM can't be followed at once, since the disk
# takes its time, the same one again ends vma-sink; SIGHUP, which a terminal that
# goes away may cause twice, does not.
. "$(dirname "$0")/lib.sh"

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
for signal in INT TERM HUP; do
    env --default-signal=INT LD_PRELOAD="$B/tests/fault.so" \
        FAULT_SYNC_SLEEP=2000 FAULT_LOG="$T/log" \
        "$VMA_SINK" -o a.vma --progress=json < "$(vector example)" 2> err &
    pid=$!
    for ((i = 0; i < 1000; i++)); do
        grep -qs syncing err && break
        sleep 0.01
    done
    sleep 0.1
    for _ in 1 2; do
        kill -s "$signal" "$pid" || fail "the first SIG$signal ended it"
        sleep 0.2
    done
    wait "$pid"
    code=$?
    if [ "$signal" = HUP ]; then
        # It was too late to keep the archive from being one: whole and synced.
        [ "$code" -lt 128 ] || fail "SIGHUP: exit code $code"
        expect_no_file a.vma.*
    else
        [ "$code" = $((128 + $(kill -l "$signal"))) ] ||
            fail "SIG$signal: exit code $code"
        expect_no_file a.vma
    fi
    rm -f a.vma a.vma.* err
done
