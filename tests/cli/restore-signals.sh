#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGINT, SIGTERM and SIGHUP end a restore with exit code 1, also while it waits
# for its archive, and leave nothing.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 1000000 1
"$mkvma" x.vma a=a.raw
mkfifo pipe

for signal in INT TERM HUP; do
    # (A background job of a script would ignore SIGINT.)
    env --default-signal=INT "$VMA_RESTORE" extract - out < pipe 2> err &
    pid=$!
    exec 9> pipe
    head -c 100000 x.vma >&9
    for _ in {1..500}; do
        [ -n "$(find out -name '*.partial' 2> /dev/null)" ] && break
        sleep 0.01
    done
    kill -s "$signal" "$pid"
    wait "$pid"
    code=$?
    exec 9>&-
    [ "$code" = 1 ] || fail "SIG$signal: exit code $code"
    expect_message "interrupted by SIG$signal"
    expect_message 'nothing was restored: '
    expect_no_file out
done
