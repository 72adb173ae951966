#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# "vma-restore serve" is nbdkit with our plugin, at a socket until it is ended or
# for a command, whose exit code it has; without nbdkit it names the package.  No
# socket is left, nor in the way of the next one, unless a server listens there.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
make_archives

# shellcheck disable=SC2016 # $uri is nbdkit's
expect_exit 0 "$VMA_RESTORE" serve ours.vma -d b --run 'nbdcopy "$uri" out'
cmp out b.raw || fail "disk b differs"
expect_exit 42 "$VMA_RESTORE" serve ours.vma.zst --run 'exit 42'

start() { # ARGUMENT...
    "$VMA_RESTORE" serve --unix socket "$@" 2> server.err &
    server=$!
    for _ in {1..500}; do
        [ -S socket ] && break
        sleep 0.02
    done
}
child() {
    tr -d ' ' < "/proc/$server/task/$server/children"
}
start ours.vma.zst --cache-size 8M
rm out
nbdcopy "nbd+unix:///a?socket=$T/socket" out || fail "no copy"
cmp out a.raw || fail "disk a differs"
# A second one gets an error, and leaves it alone.
expect_exit 1 "$VMA_RESTORE" serve --unix socket ours.vma
expect_message "Address already in use"
nbdinfo "nbd+unix:///a?socket=$T/socket" > info || fail "no server any more"
kill "$server"
wait "$server"
code=$?
[ "$code" = 0 ] || fail "exit code $code after SIGTERM"
expect_no_file socket

# However it ends, nbdkit ends, too, and the next one can start.
start ours.vma
nbdkit=$(child)
kill -KILL "$server"
wait "$server" 2> /dev/null
tail --pid="$nbdkit" -f /dev/null
[ -S socket ] || fail "who has removed the socket?"
start ours.vma
for _ in {1..500}; do
    nbdinfo "nbd+unix:///a?socket=$T/socket" > info 2>&1 && break
    sleep 0.02
done
grep -q export-size info || fail "not started again: $(cat info server.err)"
kill -KILL "$(child)"
wait "$server"
code=$?
[ "$code" = 137 ] || fail "exit code $code after nbdkit was killed"
expect_no_file socket

# What is no socket is not removed.
echo text > file
expect_exit 1 "$VMA_RESTORE" serve --unix file ours.vma
[ "$(cat file)" = text ] || fail "a file was removed"

# A note comes once: this archive has a seek table with a wrong frame.
cp ours.vma.zst table.vma.zst
printf 'x' | dd of=table.vma.zst bs=1 conv=notrunc status=none \
    seek=$(($(stat -c %s table.vma.zst) - 12))
expect_exit 0 "$VMA_RESTORE" serve table.vma.zst -d a --run 'true'
notes=$(grep -c '^vma-restore: ' err)
[ "$notes" = 1 ] || fail "$notes notes"

# What nbdkit and the command get of them is as if nbdkit was started directly.
status='grep -E "^Sig(Blk|Ign)" /proc/self/status'
expect_exit 0 "$VMA_RESTORE" serve ours.vma --run "$status" > signals
with_plugin "$status" ours.vma > expected
[ -s expected ] || fail "no signals"
cmp signals expected || fail "signals: $(cat signals expected)"

# The plugin of the environment comes before the one beside the program.
VMA_NBDKIT_PLUGIN=$T/none expect_exit 1 "$VMA_RESTORE" serve ours.vma \
    --run 'exit 0'
expect_message "$T/none"

mkdir empty
PATH=$T/empty "$VMA_RESTORE" serve ours.vma --run 'exit 0' 2> err
[ $? = 1 ] || fail "another exit code without nbdkit"
expect_message "cannot start nbdkit (Debian's package nbdkit has it)"
PATH=$T/empty "$VMA_RESTORE" serve ours.vma --unix socket 2> err
[ $? = 1 ] || fail "another exit code without nbdkit, with a socket"
expect_message "cannot start nbdkit (Debian's package nbdkit has it)"
