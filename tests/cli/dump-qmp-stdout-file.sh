#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU writes to pipes and sockets only: with a file as standard output there is
# a hint, and QEMU is not even asked.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

expect_exit 2 "$VMA_DUMP" --qmp qmp > out
expect_message '| cat > FILE'
expect_exit 2 "$VMA_DUMP" --qmp qmp > /dev/null
