#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Only what a server promises to be zeroes is taken as such: a mere hole is
# read, and so is everything where its answers are errors or empty.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"

head -c 1000000 /dev/urandom > disk
dump() { # OPTION...
    fake_nbd "$@" disk
    expect_exit 0 "$VMA_DUMP" d="$URI" > stream
    read_stream "$*"
}
same() {
    cmp -n 1000000 disk got/d || fail "$*"
}
dump --simple; same simple
! grep -q status nbd.log || fail "asked without structured replies"
dump --extents=error; same error
[ "$(grep -c status nbd.log)" = 1 ] || fail "asked again after an error"
dump --extents=0:0; same empty
[ "$(grep -c status nbd.log)" = 1 ] || fail "asked again after nothing"
dump --extents=0:3; same empty zeroes
dump --extents=1000000:1; same a hole
# In bits that fit no cluster, and beyond the end.
dump --extents=1:0,511:0,12345:0; same small ones
dump --extents=4294967295:0,4294967295:2; same long ones
# And it is believed where it does promise.
dump --extents=4294967295:2,4294967295:0
cmp -n 1000000 /dev/zero got/d || fail "zeroes"
! grep -q read nbd.log || fail "zeroes were read"
dump --extents=65536:2,65536:0
for ((i = 0; i < 15; i++)); do
    other=disk
    [ $((i % 2)) = 1 ] || other=/dev/zero
    cmp -n 65536 -i $((i * 65536)) "$other" got/d || fail "cluster $i"
done
