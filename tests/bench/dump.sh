#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The patched QEMU's storage daemon against cat, both sending the data of a disk
# in memory to a pipe that "cat > /dev/null" reads, with pipes of two sizes; then
# a disk of eight times the size without data; then how long a guest's writes
# take without a backup, during one, and when its reader is slow or stops.
# QEMU is that of QEMU_SERIES.  Other parameters: see lib.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

series=${QEMU_SERIES:-10.0}
need_space $((MIB + MIB / 8))
build=$(qemu-patch/build-qemu.sh --series "${series%% *}" tools)
python3 tests/bench/dump.py "$build" "$WORK" "$MIB" "$ROUNDS"
