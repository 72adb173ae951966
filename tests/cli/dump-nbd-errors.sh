#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A server that fails, goes away or makes no sense in the middle ends the stream
# with an abort that names source and offset, and vma-dump with exit code 1.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"

head -c 8M /dev/urandom > disk
broken() { # WORDS OPTION...
    local words=$1
    shift
    fake_nbd --after=5 "$@" disk
    expect_exit 1 "$VMA_DUMP" image=disk d="$URI" > stream
    expect_message "cannot read '$URI' at offset $words"
    expect_abort 1 "cannot read '$URI' at offset $words"
    grep -q '^data 1 127 1\|^data 1 120 8' list || fail "an image is missing"
}
# The sixth chunk of 256 KiB.
broken '1310720: Input/output error' --what=error
grep -q '^data 2 16 4' list || fail "what came before it is missing"
# What came right before may be lost with the connection.
broken '' --what=close
broken '' --what=half
broken '' --what=garbage

# Nobody there, and somebody who is no server.
expect_exit 1 "$VMA_DUMP" d="nbd+unix:///?socket=$T/none" > stream
expect_message "cannot open 'nbd+unix:///?socket=$T/none': connect: No such"
[ ! -s stream ] || fail "something was written"

# A real one that is killed, while the reader of the stream has stopped.
needs nbdkit
serve "$T/kit.sock" file disk
mkfifo pipe
"$VMA_DUMP" d="nbd+unix:///?socket=$T/kit.sock" > pipe 2> err &
pid=$!
exec 9< pipe
head -c 100 <&9 > stream
kill -s KILL "$(cat "$T/kit.sock.pid")"
cat <&9 >> stream
wait "$pid"
code=$?
[ "$code" = 1 ] || fail "killed: exit code $code"
expect_abort 1 "cannot read 'nbd+unix:///?socket=$T/kit.sock' at offset "
