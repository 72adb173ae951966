#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nbds: is NBD with TLS, with what the URI says of keys, or nothing.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs nbdkit

head -c 1M /dev/urandom > disk
echo 'alice:00112233445566778899aabbccddeeff' > keys
echo 'alice:ffeeddccbbaa99887766554433221100' > wrong
nbdkit --dump-config | grep -qx tls=yes || skip "nbdkit has no TLS"
serve "$T/tls.sock" --tls=require --tls-psk=keys file disk
serve "$T/plain.sock" file disk
uri="nbds+unix://alice@/?socket=$T/tls.sock&tls-psk-file=$T"
expect_exit 0 "$VMA_DUMP" d="$uri/keys" > stream
read_stream tls
cmp disk got/d || fail "contents"

expect_exit 1 "$VMA_DUMP" d="$uri/wrong" > stream
expect_message "cannot open 'nbds+unix://alice@/?socket=$T/tls.sock"
expect_exit 1 "$VMA_DUMP" d="nbd+unix:///?socket=$T/tls.sock" > stream
expect_exit 1 "$VMA_DUMP" \
    d="nbds+unix://alice@/?socket=$T/plain.sock&tls-psk-file=$T/keys" > stream
[ ! -s stream ] || fail "something was written"
