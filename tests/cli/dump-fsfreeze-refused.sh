#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An agent that refuses to freeze is exit code 1: no backup is started, and a
# thaw is sent all the same.  File systems that somebody else has frozen stay
# frozen.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

fake_qmp --end=done
fake_agent --refuse guest-fsfreeze-freeze --errmsg 'hook failed'
expect_exit 1 dump_qmp --fsfreeze agent
expect_message "cannot freeze the guest's file systems: hook failed"
expect_thawed
[ "$(commands | tail -n 1)" = closefd ] || fail "$(commands)"
! grep -q '"backup"' log || fail "a backup was started"
kill "$FAKE_AGENT"

fake_qmp --end=done
fake_agent --frozen
expect_exit 1 dump_qmp --fsfreeze agent
expect_message 'frozen already, by somebody else; to thaw them: (echo'
expect_commands 'guest-sync-delimited guest-fsfreeze-status'
kill "$FAKE_AGENT" "$FAKE_QMP"

fake_qmp --end=done
fake_agent --refuse guest-fsfreeze-status --errmsg 'command is disabled'
expect_exit 1 dump_qmp --fsfreeze agent
expect_message 'cannot freeze file systems: command is disabled'
