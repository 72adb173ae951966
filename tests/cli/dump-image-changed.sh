#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An image that shrinks or is written to while it is read gives an aborted
# stream and exit code 1.
. "$(dirname "$0")/lib.sh"

# Much more than the pipe holds, so vma-dump waits while the image is changed.
change() { # WORDS COMMAND...
    local words=$1
    shift
    rm -f pipe disk
    mkfifo pipe
    head -c 8M /dev/urandom > disk
    fallocate -p -o 4M -l 1M disk 2> /dev/null
    "$VMA_DUMP" d=disk > pipe 2> err &
    pid=$!
    exec 9< pipe
    head -c 100 <&9 > stream
    "$@"
    cat <&9 >> stream
    exec 9<&-
    wait "$pid"
    code=$?
    [ "$code" = 1 ] || fail "$*: exit code $code"
    expect_message "$words"
    "$ROOT/tests/lib/qbs.py" < stream > /dev/null 2> qbs.err
    [ $? = 4 ] || fail "$*: no incomplete stream"
    grep -q "aborted, reason 1: .*'disk'" qbs.err || fail "$(cat qbs.err)"
}
write_byte() {
    echo x | dd of=disk bs=1 seek=5 conv=notrunc status=none
}
change 'bytes early' truncate -s 3M disk
change 'it has shrunk from 8388608 to 4259840' truncate -s 4160K disk
change 'it was written to while it was read' write_byte
