#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A QEMU without qemu-patch, and a monitor without getfd, are told apart.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

fake_qmp --missing backup,query-backup,backup-cancel
expect_exit 1 dump_qmp
expect_message "no command 'backup', it was built without qemu-patch"
[ "$(commands | tail -n 1)" = closefd ] || fail "$(commands)"
fake_qmp --missing getfd,closefd
expect_exit 1 dump_qmp
expect_message "no command 'getfd'"
