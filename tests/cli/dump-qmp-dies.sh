#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A monitor that goes away is exit code 1, at any command.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

for command in qmp_capabilities getfd backup query-backup; do
    fake_qmp --die-at "$command"
    expect_exit 1 dump_qmp
    expect_message "lost the connection to monitor 'qmp'"
done
rm -f qmp
expect_exit 1 dump_qmp
expect_message "cannot connect to monitor 'qmp': No such file"
