#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# No stream is written to a terminal.
. "$(dirname "$0")/lib.sh"

command -v script > /dev/null || skip "script is not installed"
truncate -s 64K disk
script -qec "'$VMA_DUMP' d=disk" /dev/null < /dev/null > out
code=$?
[ "$code" = 2 ] || fail "exit code $code"
grep -q 'refusing to write binary data to a terminal' out || fail "$(cat out)"
script -qec "'$VMA_DUMP' --qmp qmp" /dev/null < /dev/null > out
code=$?
[ "$code" = 2 ] || fail "exit code $code with --qmp"
