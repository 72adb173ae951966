#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A standard error that takes nothing keeps no guest frozen: a thaw that fails
# is tried again all the same, and signals still end vma-dump.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

mkfifo stuck
exec 8<> stuck
# Bit by bit, so that not even one byte more goes in.
dd if=/dev/zero of=stuck bs=4096 oflag=nonblock conv=notrunc 2> /dev/null
dd if=/dev/zero of=stuck bs=1 oflag=nonblock conv=notrunc 2> /dev/null

start_dump() { # OPTION-OF-AGENT...
    fake_qmp --end never
    fake_agent --refuse guest-fsfreeze-thaw "$@"
    env --default-signal=INT "$VMA_DUMP" --qmp qmp --fsfreeze agent 2> stuck \
        > >(cat > out) &
    pid=$!
}
await_thaws() { # NUMBER
    local thaws
    for _ in {1..1000}; do
        thaws=$(grep -c guest-fsfreeze-thaw log 2> /dev/null)
        [ "${thaws:-0}" -lt "$1" ] || return
        sleep 0.05
    done
    fail "no thaw number $1"
}
# By the signal, or with an error that nobody gets to read.
expect_ended() {
    local code
    wait "$pid"
    code=$?
    [ "$code" = 143 ] || [ "$code" = 1 ] || fail "exit code $code"
}

# Twice before the warning, then while the backup runs.
start_dump --times 2
await_thaws 3
expect_thawed
# The first cancels the backup; it can't say so, and so the second ends it.
kill -s TERM "$pid"
await_command backup-cancel
kill -s TERM "$pid" 2> /dev/null
expect_ended
kill "$FAKE_AGENT"

# One that is never thawed: as many signals are needed, when it has given up.
start_dump
await_thaws 3
kill -s TERM "$pid"
await_command backup-cancel
await_thaws 4
for _ in {1..100}; do
    kill -s TERM "$pid" 2> /dev/null || break
    sleep 0.1
done
expect_ended
