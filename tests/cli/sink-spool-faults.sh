#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A --spool file that can't be written costs no data and no backup, one that
# can't be read back fails the backup and says so; it has no name also where the
# file system knows no files without one.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/stalled.sh"

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with sanitizers" ;;
esac
faults=LD_PRELOAD=$B/tests/fault.so
mkdir spool

# It is the spool that is written and punched, and in 12 MiB all paths are taken.
whole() { # VARIABLE=VALUE...
    stall "$STREAM_BYTES" "$faults" FAULT_LOG="$T/log" "$@" \
        --buffer 1M --spool spool
    [ -z "$(ls -A spool)" ] || fail "$*: a file with a name: $(ls -A spool)"
    release 0
    ! grep -q warning err || fail "$*: $(cat err)"
}
whole FAULT_NO_TMPFILE=1
grep -q '^no-tmpfile' log || fail "no file without a name was asked for"
rm log
whole FAULT_CALLS=fallocate=95
grep -q '^fallocate' log || fail "no hole was punched"
whole FAULT_SHORT=1

# The buffer is all that there is, and it is told why if that is not for space.
for errnum in 28 122 27; do
    stall $((1 << 20)) "$faults" FAULT_CALLS=pwrite=$errnum \
        --buffer 1M --spool spool
    release 0
    ! grep -q warning err || fail "errno $errnum: $(cat err)"
done
stall $((1 << 20)) "$faults" FAULT_CALLS=pwrite=5 --buffer 1M --spool spool
release 0
grep -q "warning: cannot write to the temporary file in 'spool': Input/output" \
    err || fail "$(cat err)"

stall "$STREAM_BYTES" "$faults" FAULT_PREAD_FROM=1 FAULT_ERRNO=5 \
    --buffer 1M --spool spool
release 1
grep -q "cannot read the temporary file in 'spool': Input/output error" err ||
    fail "$(cat err)"
