#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where the system is short of threads, for one that would go on thawing, the
# backup ends at once, takes down what it has made in QEMU, and thaws at last.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

case $(ldd "$VMA_DUMP") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
EAGAIN=11
head -c 1M /dev/urandom > disk
mkdir images
fake_qmp --version=7.2 --nbd=disk
fake_agent --refuse guest-fsfreeze-thaw --times 2
FAULT_CALLS=pthread_create=$EAGAIN LD_PRELOAD=$B/tests/fault.so expect_exit 1 \
    dump_qmp --method=nbd --fleecing images --fsfreeze agent
expect_message 'cannot start a thread'
! grep -q 'may still be frozen' err || fail "it stays frozen"
expect_thawed
grep -q '"nbd-server-stop"' log || fail "its server is left"
