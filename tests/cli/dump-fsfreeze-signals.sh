#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A signal, and a second one, while the file systems are frozen: they are thawed
# before vma-dump ends, and it is not stopped before.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

mkfifo pipe
start_dump() { # AT OPTION-OF-AGENT... -- OPTION-OF-QMP...
    local at=$1 agent=()
    shift
    while [ "$1" != -- ]; do
        agent+=("$1")
        shift
    done
    shift
    fake_qmp --end never "$@"
    fake_agent "${agent[@]}"
    cat < pipe > out &
    # (A background job of a script would ignore SIGINT.)
    env --default-signal=INT,QUIT,TSTP,TTOU "$VMA_DUMP" --qmp qmp --fsfreeze agent \
        > pipe 2> err &
    pid=$!
    await_command "$at"
}
expect_end() { # WHAT
    local code
    wait "$pid"
    code=$?
    cat err
    [ "$code" = 1 ] || fail "$1: exit code $code"
    expect_message interrupted
    expect_thawed
    kill "$FAKE_AGENT"
}
for signals in 1 2 5; do
    for at in freeze thaw; do
        start_dump "guest-fsfreeze-$at" --hang-at "guest-fsfreeze-$at" --
        for ((i = 0; i < signals; i++)); do
            kill -s INT "$pid"
            sleep 0.1
        done
        expect_end "$signals times at $at"
    done
done

# While QEMU takes its time: thawed at once, not when the answer has come.
start_dump backup -- --hang-at backup --hang-seconds 3
kill -s TERM "$pid"
await_command guest-fsfreeze-thaw
! grep -q backup-cancel log || fail "it waited"
expect_end "at backup"
[ "$(commands | grep -c backup-cancel)" = 1 ] || fail "not cancelled"

# One that would end it with a core, and some that would stop it.
start_dump backup -- --hang-at backup --hang-seconds 3
kill -s QUIT "$pid"
expect_end "SIGQUIT"
for signal in TSTP TTOU; do
    start_dump backup -- --hang-at backup --hang-seconds 3
    kill -s "$signal" "$pid"
    await_command guest-fsfreeze-thaw
    kill -s INT "$pid"
    expect_end "SIG$signal"
done

# Once they are thawed, a second signal ends vma-dump at once as ever.
start_dump query-backup -- --stubborn
kill -s INT "$pid"
await_command backup-cancel
kill -s INT "$pid"
wait "$pid"
code=$?
[ "$code" = 130 ] || fail "second signal: exit code $code"
expect_thawed
