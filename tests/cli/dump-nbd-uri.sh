#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong URIs are wrong usage; a file may be named like one; a password is never
# shown.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"

wrong() { # CODE MESSAGE URI
    expect_exit "$1" "$VMA_DUMP" d="$3" > stream
    expect_message "$2"
    ! grep -q secret err || fail "the password is shown"
    [ ! -s stream ] || fail "something was written"
}
wrong 2 "'nbd+ssh://host/x' is no NBD URI" nbd+ssh://host/x
wrong 2 "'nbd:localhost:10809' is no NBD URI" nbd:localhost:10809
wrong 2 "(if it is a file: ./nbd:unix:/x)" nbd:unix:/x
wrong 2 "'NBD://host' is no NBD URI" NBD://host
wrong 2 "'nbd+ssh://me@host' is no NBD URI" nbd+ssh://me:secret@host
wrong 2 "cannot open 'nbd://me@[host'" 'nbd://me:secret@[host'
wrong 2 "cannot parse socket parameter" nbd+unix:///x
wrong 1 "cannot open 'nbds+unix://me@/x?socket=none': " \
    'nbds+unix://me:secret@/x?socket=none'

# A server that fails later.
head -c 1M /dev/urandom > disk
fake_nbd --what=error disk
expect_exit 1 "$VMA_DUMP" d="${URI/:\/\//://me:secret@}" > stream
expect_message "cannot read 'nbd+unix://me@/?socket=$T/nbd' at offset 0"
expect_abort 1 "'nbd+unix://me@/?socket="
! grep -qa secret err stream || fail "the password is shown"

cp disk nbd:disk
expect_exit 1 "$VMA_DUMP" d=nbdisk > stream
expect_message "cannot open 'nbdisk': No such file"
expect_exit 0 "$VMA_DUMP" d=./nbd:disk > stream
read_stream file
cmp disk got/d || fail "contents"
