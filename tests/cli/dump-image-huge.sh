#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A sparse image of terabytes costs neither time nor a long stream.
. "$(dirname "$0")/lib.sh"

truncate -s 4T disk 2> /dev/null || skip "the file system has no such files"
echo end | dd of=disk bs=1 seek=$((3 << 40)) conv=notrunc status=none
expect_exit 0 timeout 5 "$VMA_DUMP" d=disk > stream
[ "$(stat -c %s stream)" -lt 1000000 ] || fail "a long stream"
"$ROOT/tests/lib/qbs.py" < stream | grep -v '^[fd]e' > list || fail "stream"
diff list - << END || fail "records"
zero 1 0 50331648
data 1 50331648 1
zero 1 50331649 16777215
END
