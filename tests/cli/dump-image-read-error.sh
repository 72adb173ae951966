#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A read error ends in an aborted stream that says where, and exit code 1.
. "$(dirname "$0")/lib.sh"

case $(ldd "$VMA_DUMP") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
head -c 3M /dev/urandom > disk
dump() {
    LD_PRELOAD=$B/tests/fault.so FAULT_PREAD_FROM=2000000 FAULT_ERRNO=5 \
        "$VMA_DUMP" d=disk > stream
}
expect_exit 1 dump
expect_message "cannot read 'disk' at offset 1572864: Input/output"
"$ROOT/tests/lib/qbs.py" < stream > list 2> qbs.err
[ $? = 4 ] || fail "no incomplete stream"
grep -q 'aborted, reason 1: .*at offset 1572864' qbs.err || fail "$(cat qbs.err)"
grep -q ^data list || fail "nothing was sent before the error"
