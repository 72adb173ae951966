#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make soak": gets the patched QEMU and the guest of tests/demo, which are made
# once and then cached, and has them backed up for so many minutes.
#
#   B=BUILD QEMU_SERIES=10.0 tests/soak/run.sh MINUTES
set -euo pipefail
cd "$(dirname "$0")/../.."

build=$(qemu-patch/build-qemu.sh --series "${QEMU_SERIES%% *}" system)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/demo/make-guest.sh "$work"
python3 tests/soak/soak.py --seconds $((60 * $1)) --guest "$work" "$build"
