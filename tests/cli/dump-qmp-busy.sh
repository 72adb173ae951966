#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A monitor that does not greet is given up after 10 s, and the message says why
# that may be.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

fake_qmp --silent
start=$SECONDS
expect_exit 1 dump_qmp
expect_message "has not greeted within 10 s: it is in use by another client"
seconds=$((SECONDS - start))
((seconds >= 9 && seconds <= 13)) || fail "after $seconds s"
kill "$FAKE_QMP"
