#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An archive served by the plugin for nbdkit: how soon the first byte comes out
# of a compressed one of 100 GiB, with an index as large as such a one's, which
# is wanted within half a second, and how fast reads at random places are; and
# a disk with an operating system's files read from front to back by nbdcopy,
# against the same from its raw image.  Parameters: see lib.sh; GIB is the large
# archive's size, MIB that of the disk, 1024.
set -euo pipefail
cd "$(dirname "$0")/../.."
MIB=${MIB:-1024}
GIB=${GIB:-100}
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

plugin=$B/nbdkit-vma-plugin.so
if ! [ -e "$plugin" ] || ! command -v nbdkit nbdcopy > "/dev/null"; then
    echo "SKIPPED: there is no nbdkit, no nbdcopy, or no plugin (that needs" \
        "nbdkit-plugin-dev)"
    exit 0
fi

need_space $((MIB * 3 + GIB * 2))
archive=$WORK/large.vma.zst
"$B/tests/bench-archive" "$GIB" "$archive"
echo "archive of a $GIB GiB disk, $(stat -c %s "$archive") bytes"
python3 tests/bench/nbd.py "$plugin" "$archive" "$WORK" "$ROUNDS"
rm "$archive"

# shellcheck disable=SC2016 # that is nbdkit's
copy='nbdcopy "$uri" null:'
copy_raw() { timed nbdkit -U - file "$WORK/image" --run "$copy"; }
copy_plain() { timed nbdkit -U - "$plugin" "$WORK/disk.vma" --run "$copy"; }
copy_zstd() { timed nbdkit -U - "$plugin" "$WORK/disk.vma.zst" --run "$copy"; }

os_image "$MIB" "$WORK/image"
for name in disk.vma disk.vma.zst; do
    "$B/vma-dump" "disk=$WORK/image" 2> "$WORK/errors" |
        "$B/vma-sink" -o "$WORK/$name" 2> "$WORK/errors"
done
echo "a disk of $MIB MiB, with nbdcopy"
compare 'plain archive' copy_raw copy_plain
compare 'compressed archive' copy_raw copy_zstd
