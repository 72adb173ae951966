#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make demo": gets the patched QEMU, which is built once and then cached, and
# starts the guided tour with it.
#
#   B=BUILD QEMU_SERIES=10.0 tests/demo/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

echo "QEMU $QEMU_SERIES with the patches of qemu-patch/ (the first time this" \
    "takes some minutes)"
folder=$(qemu-patch/build-qemu.sh --series "$QEMU_SERIES" system)
QEMU=$folder/qemu-system-x86_64 VMA_DUMP=$B/vma-dump VMA_SINK=$B/vma-sink \
VMA_RESTORE=$B/vma-restore exec tests/demo/demo.sh
