#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A bar is drawn only on a terminal, and is gone at the end; a log has one line.
. "$(dirname "$0")/lib.sh"

head -c 3M /dev/urandom > disk
expect_exit 0 "$VMA_DUMP" d=disk > stream
[ "$(wc -l < err)" = 1 ] || fail "more than a line"
grep -qE '^vma-dump: 3.0 MiB in [0-9.]+ s \(.* 0 bytes of it zeroes$' err ||
    fail "another line"
! grep -q $'\r' err || fail "a bar in a log"

command -v script > /dev/null || skip "script is not installed"
cat > slow << 'END'
"$VMA_DUMP" d=disk | (sleep 0.5; cat) > stream
END
TERM=xterm script -qec 'bash slow' /dev/null < /dev/null > out
grep -q '\[#*\.*\] .*% .* of 3.0 MiB, 0% zero' out || fail "no bar"
tr '\r' '\n' < out | tail -n 2 | grep -q '^vma-dump: 3.0 MiB in' ||
    fail "no last line"
