#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The whole way of a live backup: the patched QEMU's storage daemon through a
# pipe to vma-sink at level 1, against the same to "zstd -T2 -1", of a disk with
# an operating system's files, in memory.  QEMU is that of QEMU_SERIES.
# Parameters: see lib.sh; MIB is that of the disk, 1024.
set -euo pipefail
cd "$(dirname "$0")/../.."
MIB=${MIB:-1024}
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

series=${QEMU_SERIES:-10.0}
need_space $((MIB * 3))
build=$(qemu-patch/build-qemu.sh --series "${series%% *}" tools)
os_image "$MIB" "$WORK/image"
python3 tests/bench/live.py "$build" "$B/vma-sink" "$WORK/image" "$WORK" \
    "$ROUNDS"
