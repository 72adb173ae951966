#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make latency": gets the patched QEMU, has latency.py measure, and draws the
# graph: OUT/latency.dat and OUT/latency.svg, OUT being tests/soak for those that
# are kept.
#
#   [OUT=FOLDER] QEMU_SERIES=10.0 tests/soak/latency.sh [SECONDS [ROUNDS]]
set -euo pipefail
here=$(realpath "$(dirname "$0")")
out=${OUT:-$here}

build=$("$here/../../qemu-patch/build-qemu.sh" --series "${QEMU_SERIES%% *}" system)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$here/latency.py" "$build" "$work" "$@" > "$work/latency.dat"
(cd "$work" && gnuplot "$here/latency.gp")
cp "$work/latency.dat" "$work/latency.svg" "$out/"
grep '^#' "$out/latency.dat"
echo "graph: $out/latency.svg"
