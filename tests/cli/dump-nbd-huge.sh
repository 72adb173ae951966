#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A sparse export of a terabyte costs neither time nor a long stream; one that
# is larger than a disk can be is refused.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs nbdkit

# shellcheck disable=SC2016 # $uri is nbdkit's
expect_exit 0 with_nbdkit 'timeout 60 "$VMA_DUMP" d="$uri" > stream' \
    data '@0xc000000000 "x"*1048576' size=1T
[ "$(stat -c %s stream)" -lt 2000000 ] || fail "a long stream"
read_stream sparse
grep -E '^(data|zero)' list > records
diff records - << 'END' || fail "records"
zero 1 0 12582912
data 1 12582912 4
data 1 12582916 4
data 1 12582920 4
data 1 12582924 4
zero 1 12582928 4194288
END
# shellcheck disable=SC2016 # $uri is nbdkit's
expect_exit 1 with_nbdkit '"$VMA_DUMP" d="$uri" > stream' memory 257T
expect_message 'it has 282574488338432 bytes'
[ ! -s stream ] || fail "something was written"
