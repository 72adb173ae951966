#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# When backup fails QEMU's message is shown, and the descriptor taken back, so
# that the reader sees the end.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

fake_qmp --refuse backup --errmsg 'A backup is already running'
expect_exit 1 dump_qmp
expect_message 'cannot start the backup: A backup is already running'
[ "$(commands | tail -n 1)" = closefd ] || fail "$(commands)"
[ ! -s out ] || fail "something was written"
