#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup that has been started after this one ended is not taken for it: the
# event tells how this one ended; without it vma-dump does not claim success.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

fake_qmp --end other
expect_exit 0 dump_qmp
fake_qmp --end lost
expect_exit 1 dump_qmp
expect_message 'cannot tell how the backup ended'
