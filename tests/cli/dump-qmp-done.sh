#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A backup that QEMU finishes is exit code 0; the stream is the one that QEMU
# wrote, whole, and standard error has one line.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

stream=$(vector example)
for oob in '' --no-oob; do
    fake_qmp --stream "$stream" ${oob:+"$oob"}
    expect_exit 0 dump_qmp
    wait "$FAKE_QMP"
    cmp "$stream" out || fail "another stream"
    grep -q '^vma-dump: 1.0 MiB in .* 512.0 KiB of it zeroes$' err ||
        fail "another message"
    [ "$(wc -l < err)" = 1 ] || fail "more than a line"
    commands | uniq | paste -sd ' ' > list
    [ "$(cat list)" = \
        "qmp_capabilities $DISK_QUERIES getfd backup query-backup" ] ||
        fail "commands: $(cat list)"
done
