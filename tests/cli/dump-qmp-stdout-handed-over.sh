#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The reader sees the end as soon as QEMU closes, while vma-dump still waits.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

stream=$(vector example)
fake_qmp --stream "$stream" --end-after seen
"$VMA_DUMP" --qmp qmp | timeout 10 bash -c 'cat > out; touch seen'
[ "${PIPESTATUS[*]}" = "0 0" ] || fail "it holds standard output open"
cmp "$stream" out || fail "another stream"
