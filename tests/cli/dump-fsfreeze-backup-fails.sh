#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup that can't be started: the file systems are thawed first, and the
# error is the backup's.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

fake_qmp --refuse backup --errmsg 'A backup is already running'
fake_agent --log log
expect_exit 1 dump_qmp --fsfreeze agent
expect_message 'cannot start the backup: A backup is already running'
sync=guest-sync-delimited
expect_commands "$sync guest-fsfreeze-status qmp_capabilities \
$DISK_QUERIES guest-fsfreeze-freeze getfd backup $sync guest-fsfreeze-thaw closefd"
kill "$FAKE_AGENT"

fake_qmp --missing backup
fake_agent --log log
expect_exit 1 dump_qmp --fsfreeze agent
expect_message "no command 'backup'"
expect_thawed
kill "$FAKE_AGENT"

fake_qmp --die-at backup
fake_agent --log log
expect_exit 1 dump_qmp --fsfreeze agent
expect_message "lost the connection to monitor 'qmp'"
expect_thawed
kill "$FAKE_AGENT"

# Without a monitor nothing is frozen.
rm -f qmp log
fake_agent --log log
expect_exit 1 dump_qmp --fsfreeze agent
expect_message "cannot connect to monitor"
! grep -q guest-fsfreeze-freeze log || fail "frozen"
