#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGINT and SIGTERM end vma-dump with exit code 1 and, where no record is torn,
# an aborted stream.
. "$(dirname "$0")/lib.sh"

head -c 8M /dev/urandom > disk
mkfifo pipe
for signal in INT TERM; do
    # (A background job of a script would ignore SIGINT.)
    env --default-signal=INT "$VMA_DUMP" d=disk > pipe 2> err &
    pid=$!
    exec 9< pipe
    head -c 100 <&9 > stream
    kill -s "$signal" "$pid"
    sleep 0.3
    cat <&9 >> stream
    exec 9<&-
    wait "$pid"
    code=$?
    [ "$code" = 1 ] || fail "SIG$signal: exit code $code"
    expect_message "interrupted by SIG$signal"
    "$ROOT/tests/lib/qbs.py" < stream > /dev/null 2> qbs.err
    [ $? = 4 ] || fail "no incomplete stream: $(cat qbs.err)"
done

# A slow image and a fast reader: the signal comes between two records.
case $(ldd "$VMA_DUMP") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
rm stream
cat < pipe > stream &
reader=$!
LD_PRELOAD=$B/tests/fault.so FAULT_PREAD_SLEEP=300 \
    env --default-signal=INT "$VMA_DUMP" d=disk > pipe 2> err &
pid=$!
for _ in {1..500}; do
    [ -s stream ] && break
    sleep 0.02
done
kill -s INT "$pid"
wait "$pid" "$reader"
expect_message 'interrupted by SIGINT'
"$ROOT/tests/lib/qbs.py" < stream > /dev/null 2> qbs.err
grep -q 'aborted, reason 2: interrupted by SIGINT' qbs.err ||
    fail "$(cat qbs.err)"
