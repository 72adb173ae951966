#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where the first SIGINT, SIGTERM or SIGHUP can't be followed at once, since the
# disk takes its time, it is followed after that, and there is no archive.  The
# same one again ends vma-sink, but not SIGHUP, which a terminal that goes away
# may cause twice.
. "$(dirname "$0")/lib.sh"

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
for signals in INT TERM HUP 'INT INT' 'TERM TERM' 'HUP HUP'; do
    signal=${signals% *}
    env --default-signal=INT LD_PRELOAD="$B/tests/fault.so" \
        FAULT_SYNC_SLEEP=2000 FAULT_LOG="$T/log" \
        "$VMA_SINK" -o a.vma --progress=json < "$(vector example)" 2> err &
    pid=$!
    for ((i = 0; i < 1000; i++)); do
        grep -qs syncing err && break
        sleep 0.01
    done
    sleep 0.1
    for _ in $signals; do
        kill -s "$signal" "$pid" || fail "the first SIG$signal ended it"
        sleep 0.2
    done
    wait "$pid"
    code=$?
    if [ "$signals" = "$signal" ] || [ "$signal" = HUP ]; then
        [ "$code" = 1 ] || fail "$signals: exit code $code"
        expect_message "nothing was stored: interrupted by SIG$signal"
        expect_no_file a.vma.*
    else
        [ "$code" = $((128 + $(kill -l "$signal"))) ] ||
            fail "$signals: exit code $code"
    fi
    expect_no_file a.vma
    rm -f a.vma a.vma.* err
done
