#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A server that says that several connections are safe is read over four of
# them, or over as many as it takes; one that is lost ends the stream.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"

head -c 8M /dev/urandom > disk
connections() { # OPTION...
    rm -f nbd.log.*
    fake_nbd "$@" disk
}
expect_read() { # READERS: the numbers of the connections
    local log readers=''
    expect_exit 0 "$VMA_DUMP" d="$URI" > stream
    read_stream "$1"
    cmp disk got/d || fail "$1: contents"
    for log in nbd.log nbd.log.{2..5}; do
        ! grep -qs read "$log" || readers+=${log##*[a-z.]},
    done
    [ "$readers" = "$1" ] || fail "read over $readers, not over $1"
}

connections
expect_read ,
connections --clients=4 --simple
expect_read ,2,3,4,
# The others are never answered, or show something else.
connections --clients=2
expect_read ,2,
connections --clients=4 --other-size=4194304
expect_read ,2,3,

connections --clients=4 --what=close --after=1
expect_exit 1 "$VMA_DUMP" d="$URI" > stream
expect_message "cannot read '$URI' at offset"
expect_abort 1 "cannot read '$URI' at offset"
connections --clients=4 --what=error
expect_exit 1 "$VMA_DUMP" d="$URI" > stream
expect_abort 1 "Input/output error"

# QEMU's own, that takes two.
needs qemu-nbd
qemu-nbd --read-only --shared=2 --persistent -f raw --fork \
    --pid-file="$T/pid" --socket="$T/qemu.sock" disk || fail "qemu-nbd"
expect_exit 0 "$VMA_DUMP" d="nbd+unix:///?socket=$T/qemu.sock" > stream
kill "$(cat pid)"
read_stream "qemu-nbd"
cmp disk got/d || fail "contents"

# One that takes five, with three disks: none of them waits for another one's.
needs qemu-storage-daemon
server=(--nbd-server "addr.type=unix,addr.path=$T/qsd.sock,max-connections=5")
images=()
for i in 1 2 3; do
    server+=(--blockdev "driver=file,node-name=n$i,filename=disk,read-only=on"
             --export "type=nbd,id=e$i,node-name=n$i,name=d$i")
    images+=("d$i=nbd+unix:///d$i?socket=$T/qsd.sock")
done
qemu-storage-daemon --daemonize --pidfile "$T/pid" "${server[@]}" \
    || fail "qemu-storage-daemon"
timeout 60 "$VMA_DUMP" "${images[@]}" > stream || fail "several disks: $?"
kill "$(cat pid)"
read_stream "several disks"
for i in 1 2 3; do
    cmp disk got/d$i || fail "contents of d$i"
done
