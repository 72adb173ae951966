#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A thaw that fails is tried again, then told, with the command to do it by
# hand, and tried again while the backup runs; if the file systems stay frozen
# the exit code is not 0, whatever the backup's end.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

warning="warning: the guest's file systems may be frozen and can't be thawed"
by_hand="(echo '{\"execute\":\"guest-fsfreeze-thaw\"}'; sleep 5) | socat - 'UNIX-CONNECT:agent'"

# Once more is tried before anything is said.
fake_qmp --end=done
fake_agent --refuse guest-fsfreeze-thaw --times 1
expect_exit 0 dump_qmp --fsfreeze agent
! grep -q 'may be frozen' err || fail "a warning"
expect_message 'file systems frozen for'
expect_thawed
kill "$FAKE_AGENT"

fake_qmp --end=done
fake_agent --refuse guest-fsfreeze-thaw --times 2
expect_exit 0 dump_qmp --fsfreeze agent
expect_message "$warning (some reason); to do it by hand: $by_hand"
expect_message 'file systems frozen for'
expect_thawed
kill "$FAKE_AGENT"

fake_qmp --end=done
fake_agent --die-at guest-fsfreeze-thaw --times 2
expect_exit 0 dump_qmp --fsfreeze agent
expect_message "$warning (lost the connection to guest agent 'agent')"
expect_message 'file systems frozen for'
kill "$FAKE_AGENT"

fake_qmp --end=done
fake_agent --refuse guest-fsfreeze-thaw
expect_exit 1 dump_qmp --fsfreeze agent
expect_message "$warning"
expect_message "the backup is complete, and the guest's file systems may still \
be frozen (some reason); to thaw them: $by_hand"
kill "$FAKE_AGENT"

fake_qmp --end cancelled
fake_agent --refuse guest-fsfreeze-thaw
expect_exit 4 dump_qmp --fsfreeze agent
expect_message "cancelled by somebody else: some reason, and the guest's file \
systems may still be frozen"
kill "$FAKE_AGENT"

# An agent that is late has the command in its channel.
fake_qmp --end never
fake_agent --hang-at guest-fsfreeze-thaw --hang-seconds 12 --times 1
env --default-signal=INT "$VMA_DUMP" --qmp qmp --fsfreeze agent 2> err \
    > >(cat > out) &
pid=$!
for _ in {1..1000}; do
    grep -q 'file systems frozen for' err && break
    sleep 0.03
done
cat err
expect_message "$warning (no answer from guest agent 'agent' in time)"
grep -qE 'file systems frozen for [12][0-9]{4} ms' err || fail "not while it runs"
kill -s INT "$pid"
wait "$pid"
code=$?
[ "$code" = 1 ] || fail "exit code $code"
