#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Without an agent that answers nothing is started, and the message says so
# within seconds; also if something else answers without an end.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

fake_qmp --end=done
fake_agent --silent-at guest-sync-delimited
start=$SECONDS
expect_exit 1 dump_qmp --fsfreeze agent
expect_message 'the guest agent does not answer; it has to run in the guest'
seconds=$((SECONDS - start))
((seconds >= 4 && seconds <= 8)) || fail "after $seconds s"
expect_commands guest-sync-delimited
kill "$FAKE_AGENT"

rm agent
expect_exit 1 dump_qmp --fsfreeze agent
expect_message "cannot connect to guest agent 'agent': No such file"

python3 - << 'PYTHON' &
import os, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind('flood')
listener.listen(1)
client = listener.accept()[0]
try:
    while True:
        client.sendall(b'\xff{"return": 0}\n' * 1000 + b'x' * 100000)
except OSError:
    pass
PYTHON
until [ -S flood ]; do sleep 0.05; done
start=$SECONDS
expect_exit 1 dump_qmp --fsfreeze flood
((SECONDS - start <= 8)) || fail "after $((SECONDS - start)) s"
