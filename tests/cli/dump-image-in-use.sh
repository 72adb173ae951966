#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# An image that a QEMU has open for writing is refused, also if that comes about
# while it is read; one that is open for reading only is not. --force-share reads
# both.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbd.sh"
needs qemu-io qemu-nbd

head -c 8M /dev/urandom > disk
mkfifo pipe

# One that has the image open until it is stopped.
start_qemu_io() { # OPTION...
    local prompt
    coproc QEMU { exec qemu-io -f raw "$@" disk; }
    # It asks for a command when it has it.
    read -r -N 1 -u "${QEMU[0]}" prompt || fail "no qemu-io: $prompt"
}
stop_qemu_io() {
    local pid=$QEMU_PID
    echo quit >&"${QEMU[1]}"
    wait "$pid"
}
refused() {
    expect_exit 1 "$VMA_DUMP" d=disk > stream
    expect_message "cannot back up 'disk': it is in use for writing, by a QEMU"
    expect_message 'a running guest is backed up with --qmp (--force-share'
    [ ! -s stream ] || fail "something was written"
}
taken() { # OPTION...
    expect_exit 0 "$VMA_DUMP" "$@" d=disk > stream
    read_stream "$*"
    cmp disk got/d || fail "contents"
}

taken
start_qemu_io
refused
taken --force-share
taken -U
# Before what it looks like: what would be said then is of no use.
printf 'QFI\373\0\0\0\3' | dd of=disk conv=notrunc status=none
refused
dd if=/dev/zero of=disk bs=8 count=1 conv=notrunc status=none
stop_qemu_io
start_qemu_io -r
taken
taken -U
stop_qemu_io

# An export that nobody has connected to.
qemu-nbd --persistent --pid-file="$T/pid" --socket="$T/sock" -f raw disk &
server=$!
for _ in {1..500}; do
    [ ! -s pid ] || break
    sleep 0.02
done
refused
taken -U
kill "$server"
wait "$server"
taken

# Much more than the pipe holds, so vma-dump waits while the image is opened.
"$VMA_DUMP" d=disk > pipe 2> err &
pid=$!
exec 9< pipe
head -c 100 <&9 > stream
start_qemu_io
cat <&9 >> stream
exec 9<&-
wait "$pid"
code=$?
stop_qemu_io
[ "$code" = 1 ] || fail "opened meanwhile: exit code $code"
expect_message "cannot back up 'disk': it is in use for writing"
expect_abort 1 'in use for writing'
