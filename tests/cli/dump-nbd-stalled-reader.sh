#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# While the reader of the stream does not read, a server is asked for no more
# than a few megabytes.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"

head -c 64M /dev/urandom > disk
fake_nbd disk
mkfifo pipe
exec 8<> pipe
"$VMA_DUMP" d="$URI" > pipe 2> err &
pid=$!
asked() {
    awk '$1 == "read" { sum += $3 } END { print sum + 0 }' nbd.log
}
for _ in {1..600}; do
    [ ! -e nbd.log ] || [ "$(asked)" -le 1000000 ] || break
    sleep 0.05
done
sleep 1
asked=$(asked)
[ "$asked" -gt 1000000 ] || fail "only $asked bytes"
[ "$asked" -lt 8000000 ] || fail "$asked bytes were asked for"
cat <&8 > stream &
reader=$!
exec 8>&-
wait "$pid" || fail "exit code $?: $(cat err)"
kill "$reader"
