#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# -c carries files under their own names or the names given; what can't be
# carried is an error before anything is written.
. "$(dirname "$0")/lib.sh"

truncate -s 64K disk
mkdir folder got
printf 'cores: 2\n' > folder/vm.conf
head -c 65535 /dev/urandom > large
: > empty
expect_exit 0 "$VMA_DUMP" -c folder/vm.conf -c large=l --config empty d=disk \
    > stream
"$ROOT/tests/lib/qbs.py" got < stream > list || fail "stream"
cmp folder/vm.conf got/vm.conf || fail "vm.conf"
cmp large got/l || fail "large"
cmp empty got/empty || fail "empty"
echo x >> large
expect_exit 1 "$VMA_DUMP" -c large d=disk > stream
expect_message 'more than 65535'
[ ! -s stream ] || fail "something was written"
