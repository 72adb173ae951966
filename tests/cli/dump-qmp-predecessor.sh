#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# QEMU may still have something to say to a client that was killed, and lose a
# descriptor with that client's: neither ends the next backup.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

fake_qmp --predecessor
expect_exit 0 dump_qmp

mkdir images
fake_qmp --predecessor --version=7.2 --nbd=/dev/null \
    --refuse nbd-server-start --refuse-times 1
expect_exit 0 dump_qmp --method=nbd --fleecing images
[ "$(commands | grep -c nbd-server-start)" = 2 ] || fail "$(commands)"
[ "$(commands | grep -c '^getfd')" = 2 ] || fail "$(commands)"
