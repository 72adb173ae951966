#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A disk of 1 TiB that holds 1 GiB of data, from the image to the archive,
# against the same data in an image of 1 GiB, in memory.  Parameters: see
# lib.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

need_space 2600
head -c 1G /dev/urandom > "$WORK/small"
truncate -s 1T "$WORK/sparse"
for ((i = 0; i < 64; i++)); do
    dd if="$WORK/small" of="$WORK/sparse" bs=16M count=1 skip="$i" \
        seek=$((i * 1024)) conv=notrunc status=none
done

store() {
    rm -f "$WORK/out"
    # shellcheck disable=SC2016 # that of the inner shell
    timed bash -c 'set -o pipefail; "$0" "disk=$2" | "$1" -o "$3"' \
        "$B/vma-dump" "$B/vma-sink" "$1" "$WORK/out"
}

disk_1GiB() { store "$WORK/small"; }
disk_1TiB() { store "$WORK/sparse"; }

compare '1 GiB of data' disk_1GiB disk_1TiB
