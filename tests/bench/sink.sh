#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vma-sink against cat, both storing the same stream of a disk, half random data
# and half zeroes, in memory: from a file, and through a pipe.  Parameters: see
# lib.sh.
#
# From file to file cat leaves the copying to the kernel (copy_file_range), which
# copies the data once; vma-sink reads and writes them, which are two copies, by
# two threads.  So where no second processor is idle it takes 1.4 times as long.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

need_space $((MIB + MIB / 8))
stream=$WORK/stream
"$B"/tests/bench-stream "$MIB" > "$stream"

store_cat() {
    rm -f "$WORK/out"
    # shellcheck disable=SC2016 # $0 is that of the inner shell
    timed sh -c 'exec cat > "$0"' "$WORK/out"
}

store_sink() {
    rm -f "$WORK/out"
    timed "$B/vma-sink" -o "$WORK/out"
}

file_cat() { store_cat < "$stream"; }
file_vma-sink() { store_sink < "$stream"; }
# shellcheck disable=SC2002 # the pipe is what is measured
pipe_cat() { cat "$stream" | store_cat; }
# shellcheck disable=SC2002
pipe_vma-sink() { cat "$stream" | store_sink; }

# shellcheck disable=SC2002
pipe_--buffer() {
    cat "$stream" | {
        rm -f "$WORK/out"
        timed "$B/vma-sink" --buffer=16M -o "$WORK/out"
    }
}

echo "stream of a $MIB MiB disk, $(stat -c %s "$stream") bytes"
compare 'from a file' file_cat file_vma-sink
compare 'through a pipe' pipe_cat pipe_vma-sink
compare 'read ahead' pipe_vma-sink pipe_--buffer
