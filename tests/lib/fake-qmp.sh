# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests of vma-dump --qmp, sourced after lib.sh: a monitor to talk to,
# and what it was told.

# Starts fake_qmp.py with the options given, on the socket "qmp", log in "log".
fake_qmp() { # OPTION...
    rm -f qmp log
    "$ROOT/tests/lib/fake_qmp.py" "$@" qmp &
    # shellcheck disable=SC2034 # for the tests
    FAKE_QMP=$!
    for _ in {1..500}; do
        [ -S qmp ] && return
        sleep 0.02
    done
    fail "no fake monitor"
}

# The names of the commands received so far, one per line.
commands() {
    python3 -c '
import json
for line in open("log"):
    message = json.loads(line)
    print(message.get("execute") or message["exec-oob"])'
}

# What is asked about the disks before a backup starts.
# shellcheck disable=SC2034 # for the tests
DISK_QUERIES='query-block query-named-block-nodes qom-get'

# The messages received so far, but for these.
log_without_queries() {
    grep -vE "\"(${DISK_QUERIES// /|})\"" log
}

# Waits until a command has come.
await_command() { # NAME
    for _ in {1..500}; do
        grep -qsF "\"$1\"" log && return
        sleep 0.02
    done
    fail "no $1 has come"
}

# vma-dump as it is used: with a reader on its standard output, which writes it
# to "out".  The exit code is that of vma-dump.
dump_qmp() { # OPTION...
    # (A background job of a script would ignore SIGINT.)
    env --default-signal=INT "$VMA_DUMP" --qmp qmp "$@" | cat > out
    return "${PIPESTATUS[0]}"
}
