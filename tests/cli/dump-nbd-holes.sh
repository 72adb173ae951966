#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a server says to be zeroes is not read; allocated zeroes are found, so
# that a server which does not tell gives the same records.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs nbdkit

# nbdkit keeps pages of 32 KiB, so clusters that hold data do so in part.
content='@0x20010 "a" @0x40ff0 "b" @0x5000000 "c" @0x63ffe00 "d"*512'
dump() { # FILTER PARAMETER...
    # shellcheck disable=SC2016 # $uri is nbdkit's
    with_nbdkit '"$VMA_DUMP" d="$uri" > stream' "$1" data "$content" \
        size=104857600 "${@:2}"
}
expect_exit 0 dump --filter=log logfile=log
read_stream extents
grep -E '^(data|zero)' list > with
diff with - << END || fail "records"
zero 1 0 2
data 1 2 1
zero 1 3 1
data 1 4 1
zero 1 5 1275
data 1 1280 1
zero 1 1281 318
data 1 1599 1
END
read=$(python3 -c '
import re
print(sum(int(n, 16) for n in re.findall(r" Read .*?count=0x([0-9a-f]+)",
                                         open("log").read())))')
[ "$read" -gt 0 ] || fail "nothing was read"
[ "$read" -lt 1000000 ] || fail "$read bytes were read"

expect_exit 0 dump --filter=noextents
read_stream noextents
grep -E '^(data|zero)' list | diff with - || fail "other records"
