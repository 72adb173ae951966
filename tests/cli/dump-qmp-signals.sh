#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGINT and SIGTERM cancel the backup, out of band, and wait for its end; a
# second signal ends vma-dump at once.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

mkfifo pipe
start_dump() {
    rm -f log
    fake_qmp --end never "$@"
    cat < pipe > out &
    # (A background job of a script would ignore SIGINT.)
    env --default-signal=INT "$VMA_DUMP" --qmp qmp > pipe 2> err &
    pid=$!
}
for signal in INT TERM; do
    start_dump
    await_command query-backup
    kill -s "$signal" "$pid"
    wait "$pid"
    code=$?
    [ "$code" = 1 ] || fail "SIG$signal: exit code $code"
    expect_message 'interrupted'
    grep -q '"exec-oob": "backup-cancel"' log || fail "it is not cancelled"
    [ "$(commands | tail -n 1)" = query-backup ] || fail "it did not wait"
done

start_dump --stubborn
await_command query-backup
kill -s INT "$pid"
await_command backup-cancel
kill -s INT "$pid"
wait "$pid"
code=$?
[ "$code" = 130 ] || fail "second signal: exit code $code"

# A signal while the backup starts: it has to be cancelled too.
start_dump --hang-at backup
await_command backup
kill -s INT "$pid"
wait "$pid"
code=$?
[ "$code" = 1 ] || fail "while starting: exit code $code"
grep -q backup-cancel log || fail "while starting: it is not cancelled"

# A signal before that: what was handed over is taken back.
start_dump --hang-at getfd
await_command getfd
kill -s INT "$pid"
wait "$pid"
code=$?
[ "$code" = 1 ] || fail "before the start: exit code $code"
expect_message 'interrupted by SIGINT'
[ "$(commands | tail -n 1)" = closefd ] || fail "$(commands)"
