#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGINT and SIGTERM end vma-dump while it waits for a server that is silent
# from the start, or falls silent.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"

head -c 8M /dev/urandom > disk
start() {
    # (A background job of a script would ignore SIGINT.)
    env --default-signal=INT "$VMA_DUMP" d="$URI" > stream 2> err &
    pid=$!
}
end() { # SIGNAL
    kill -s "$1" "$pid"
    ( sleep 20; kill -s KILL "$pid" ) 2> /dev/null &
    wait "$pid"
    code=$?
    [ "$code" = 1 ] || fail "SIG$1: exit code $code: $(cat err)"
    [ "$(cat err)" = "vma-dump: interrupted by SIG$1" ] || fail "$(cat err)"
    kill -s KILL "$FAKE_NBD"
}
for signal in INT TERM; do
    fake_nbd --silent disk
    start
    sleep 0.3
    end "$signal"
    [ ! -s stream ] || fail "something was written"

    fake_nbd --what=hang --after=2 disk
    start
    for _ in {1..500}; do
        [ "$(stat -c %s stream)" -gt 500000 ] && break
        sleep 0.02
    done
    end "$signal"
    expect_abort 2 "interrupted by SIG$signal"
done
