#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup that fails is exit code 1, with QEMU's message.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

fake_qmp --end error --errmsg "cannot read device 'a': Input/output error"
expect_exit 1 dump_qmp
expect_message "QEMU failed: cannot read device 'a': Input/output error"
