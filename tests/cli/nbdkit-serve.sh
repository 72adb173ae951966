#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# "vma-restore serve" is nbdkit with our plugin, at a socket until it is ended or
# for a command, whose exit code it has; without nbdkit it names the package.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
make_archives

# shellcheck disable=SC2016 # $uri is nbdkit's
expect_exit 0 "$VMA_RESTORE" serve ours.vma -d b --run 'nbdcopy "$uri" out'
cmp out b.raw || fail "disk b differs"
expect_exit 42 "$VMA_RESTORE" serve ours.vma.zst --run 'exit 42'

"$VMA_RESTORE" serve ours.vma.zst --unix socket --cache-size 8M &
server=$!
for _ in {1..500}; do
    [ -S socket ] && break
    sleep 0.02
done
rm out
nbdcopy "nbd+unix:///a?socket=$T/socket" out || fail "no copy"
cmp out a.raw || fail "disk a differs"
# Signals are as a shell has them: nbdkit has to end by this one.
kill "$server"
wait "$server"
code=$?
[ "$code" = 0 ] || fail "exit code $code after SIGTERM"

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
