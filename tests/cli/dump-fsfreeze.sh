#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --fsfreeze freezes right before the backup starts and thaws right after it;
# what is left over in the agent's channel is not taken for an answer.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

sync=guest-sync-delimited
for stale in '' '{"return": {}}'$'\n' '{"ret' $'\xff{"return": 5}\n\xff{"re' \
    $'\xff{"error": {"class": "x", "desc": "y"}}\n{"return": 7}\n' $'\xff\xff'; do
    fake_qmp --stream "$(vector example)"
    fake_agent --stale "$stale"
    expect_exit 0 dump_qmp --fsfreeze agent
    expect_commands "$sync guest-fsfreeze-status qmp_capabilities \
$DISK_QUERIES guest-fsfreeze-freeze getfd backup $sync guest-fsfreeze-thaw"
    grep -qE '^vma-dump: file systems frozen for [0-9]+ ms \(3 of the guest\)$' \
        err || fail "the time is not told"
    cmp "$(vector example)" out || fail "another stream"
    kill "$FAKE_AGENT"
done
expect_exit 2 "$VMA_DUMP" --fsfreeze agent d=disk
expect_message 'need --qmp'
