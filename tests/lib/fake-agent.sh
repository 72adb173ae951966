# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests of vma-dump --fsfreeze, sourced after fake-qmp.sh: a guest agent
# to talk to.  It logs to the monitor's "log", so start it after the monitor.

# Starts fake_agent.py with the options given, on the socket "agent".
fake_agent() { # OPTION...
    rm -f agent
    "$ROOT/tests/lib/fake_agent.py" "$@" agent &
    # shellcheck disable=SC2034 # for the tests
    FAKE_AGENT=$!
    for _ in {1..500}; do
        [ -S agent ] && return
        sleep 0.02
    done
    fail "no fake agent"
}

# Fails unless these commands came in this order; queries do not count.
expect_commands() { # COMMANDS
    commands | grep -vx 'query-backup' | paste -sd ' ' > list
    [ "$(cat list)" = "$1" ] || fail "commands: $(cat list)"
}

# Fails unless the last command that the agent got is the thaw.
expect_thawed() {
    [ "$(commands | grep fsfreeze | tail -n 1)" = guest-fsfreeze-thaw ] ||
        fail "not thawed: $(commands | paste -sd ' ')"
}
