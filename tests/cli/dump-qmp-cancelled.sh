#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup that somebody else cancels is exit code 4.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

fake_qmp --end cancelled --errmsg 'the backup was cancelled'
expect_exit 4 dump_qmp
expect_message 'the backup was cancelled'
