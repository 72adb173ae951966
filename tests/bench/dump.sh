#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The patched QEMU's storage daemon against cat, both sending the data of a disk
# in memory to a pipe that "cat > /dev/null" reads, with pipes of two sizes; then
# a disk of eight times the size without data; then how long a guest's writes
# take without a backup, during one, and when its reader is slow or stops.
#
#   [MIB=8192] [ROUNDS=5] [BENCH_DIR=/dev/shm] [QEMU_SERIES=10.0] \
#       tests/bench/dump.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

MIB=${MIB:-8192}
BENCH_DIR=${BENCH_DIR:-/dev/shm}
series=${QEMU_SERIES:-10.0}

free_mib=$(($(stat -f -c '%a * %S' "$BENCH_DIR") / 1048576))
if [ "$free_mib" -lt $((MIB + MIB / 8)) ]; then
    echo "bench: $BENCH_DIR has $free_mib MiB free, $((MIB + MIB / 8)) are" \
        "needed; set MIB to less" >&2
    exit 1
fi
build=$(qemu-patch/build-qemu.sh --series "${series%% *}" tools)
exec python3 tests/bench/dump.py "$build" "$BENCH_DIR" "$MIB" "${ROUNDS:-5}"
