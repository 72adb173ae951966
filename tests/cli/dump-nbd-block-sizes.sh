#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A server's limits for requests are kept.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs nbdkit

head -c 1000000 /dev/urandom > disk
for most in 512 4096 65536 100000; do
    fake_nbd --most="$most" disk
    expect_exit 0 "$VMA_DUMP" d="$URI" > stream
    read_stream "$most"
    cmp -n 1000000 disk got/d || fail "at most $most"
    awk -v most="$most" '$1 == "read" && $3 > most' nbd.log > wrong
    [ ! -s wrong ] || fail "at most $most: $(head -n 3 wrong)"
done

# One that refuses what is not in whole blocks.
truncate -s 999424 disk
# shellcheck disable=SC2016 # $uri is nbdkit's
expect_exit 0 with_nbdkit '"$VMA_DUMP" d="$uri" > stream' \
    --filter=blocksize-policy file disk blocksize-error-policy=error \
    blocksize-minimum=4096 blocksize-preferred=4096 blocksize-maximum=131072
read_stream blocks
cmp disk got/d || fail "blocks"
