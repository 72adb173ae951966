#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Speed of vma-sink and vma-restore against the number of threads, the size of
# the frames and the kind of data: a table, OUT/speed.dat, and a graph of it,
# OUT/speed.svg.  Each value is the best of ROUNDS, all of them in turn.  OUT is
# tests/bench for those that are kept.  Parameters: see lib.sh; MIB is the disk's
# size, 512, and THREADS and FRAMES what is tried.
set -euo pipefail
cd "$(dirname "$0")/../.."
MIB=${MIB:-512}
OUT=${OUT:-tests/bench}
THREADS=${THREADS:-1 2 3 4}
FRAMES=${FRAMES:-1M 4M 16M}
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

need_space $((MIB * 5))
os_image "$MIB" "$WORK/image.os"
head -c "${MIB}M" /dev/urandom > "$WORK/image.random"
for data in os random; do
    "$B/vma-dump" "disk=$WORK/image.$data" > "$WORK/stream.$data" \
        2> "$WORK/errors"
    rm "$WORK/image.$data"
done

compress() {
    timed "$B/vma-sink" -T "$threads" --compress=zstd:1 \
        --frame-size="$frame" -o "$WORK/out" < "$WORK/stream.$data"
}
extract() {
    timed "$B/vma-restore" extract -T "$threads" "$WORK/out" "$WORK/restored"
    rm -r "$WORK/restored"
}

for ((i = 0; i < ROUNDS; i++)); do
    for data in os random; do
        for frame in $FRAMES; do
            for threads in $THREADS; do
                rm -f "$WORK/out"
                for what in compress extract; do
                    read -r seconds _ < <(once "$what")
                    echo "$what $data $frame $threads $seconds"
                done
            done
        done
    done
done > "$WORK/all"

{
    echo "# MiB of the disk in a second; $(nproc) processors, a disk of $MIB MiB"
    awk -v mib="$MIB" '{ key = $1 " " $2 " " $3 " " $4 }
        !(key in best) { order[++n] = key }
        !(key in best) || $5 < best[key] { best[key] = $5 }
        END {
            for (i = 1; i <= n; i++) {
                printf "%s %.0f\n", order[i],
                    mib / (best[order[i]] ? best[order[i]] : 0.01)
            }
        }' "$WORK/all"
} > "$OUT/speed.dat"
cat "$OUT/speed.dat"

# plots WHAT: gnuplot's lines for it
plots() {
    local data frame comma=''

    for data in os random; do
        for frame in $FRAMES; do
            # shellcheck disable=SC2016 # those of awk
            printf '%s "< awk '\''$1 == \\"%s\\" && $2 == \\"%s\\" && $3 == \\"%s\\"'\'' %s" using 4:5 with linespoints title "%s, %s"' \
                "$comma" "$1" "$data" "$frame" "$OUT/speed.dat" "$data" "$frame"
            comma=,
        done
    done
}
gnuplot <<END
set terminal svg size 900,420 dynamic background "white"
set output "$OUT/speed.svg"
set multiplot layout 1,2
set xlabel "threads"
set ylabel "MiB/s of the disk"
set xtics 1
set yrange [0:]
set key bottom right
set grid
set title "vma-sink, level 1"
plot $(plots compress)
set title "vma-restore extract"
plot $(plots extract)
unset multiplot
END
echo "graph: $OUT/speed.svg"
