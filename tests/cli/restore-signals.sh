#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGINT, SIGTERM and SIGHUP end a restore with exit code 1, also while it waits
# for its archive, and leave nothing.
. "$(dirname "$0")/lib.sh"

mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 1000000 1
"$mkvma" x.vma a=a.raw

for signal in INT TERM HUP; do
    expect_interrupted $signal x.vma 100000 "$VMA_RESTORE" extract - out
    expect_message 'nothing was restored: '
    expect_no_file out
done
