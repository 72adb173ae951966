#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make bench": vma-sink against cat, both storing the same stream of an 8 GiB
# disk, half random data and half zeroes, on tmpfs.  Once from a file, once
# through a pipe, ROUNDS times in turn; the median of the ratios is what to
# quote, as a machine's speed drifts.  Peak memory is that of the one process.
#
#   B=BUILD [MIB=8192] [ROUNDS=5] [BENCH_DIR=/dev/shm] tests/bench/run.sh
#
# Then dump.sh: the patched QEMU.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/setup.sh --check bench

B=${B:-$PWD/build}
MIB=${MIB:-8192}
ROUNDS=${ROUNDS:-5}
BENCH_DIR=${BENCH_DIR:-/dev/shm}

free_mib=$(($(stat -f -c '%a * %S' "$BENCH_DIR") / 1048576))
if [ "$(stat -f -c %T "$BENCH_DIR")" != tmpfs ]; then
    echo "bench: $BENCH_DIR is no tmpfs: this measures the disk" >&2
fi
if [ "$free_mib" -lt $((MIB + MIB / 8)) ]; then
    echo "bench: $BENCH_DIR has $free_mib MiB free, $((MIB + MIB / 8)) are" \
        "needed; set MIB to less" >&2
    exit 1
fi
work=$(mktemp -d "$BENCH_DIR/vma-sink-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
export LC_ALL=C

"$B"/tests/bench-stream "$MIB" > "$work/stream"
echo "stream of a $MIB MiB disk, $(stat -c %s "$work/stream") bytes," \
    "$ROUNDS rounds, $(nproc) cores"

# Prints seconds and KiB of COMMAND, which stores to "out".
measure() { # FROM COMMAND...
    local from=$1
    shift
    rm -f "$work/out"
    case $from in
    file) /usr/bin/time -f '%e %M' -o "$work/time" "$@" < "$work/stream" ;;
    pipe)
        # shellcheck disable=SC2002 # the pipe is what is measured
        cat "$work/stream" | /usr/bin/time -f '%e %M' -o "$work/time" "$@" ;;
    esac 2> /dev/null
    cat "$work/time"
}

store_cat() { # FROM
    # shellcheck disable=SC2016 # $0 is that of the inner shell
    measure "$1" sh -c 'exec cat > "$0"' "$work/out"
}

store_sink() { # FROM
    measure "$1" "$B/vma-sink" -o "$work/out"
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

for from in file pipe; do
    store_cat "$from" > /dev/null
    store_sink "$from" > /dev/null
    for ((i = 0; i < ROUNDS; i++)); do
        echo "$(store_cat "$from") $(store_sink "$from")"
    done > "$work/rounds"
    printf 'from a %s: cat %.2f s, %d KiB; vma-sink %.2f s, %d KiB; ' "$from" \
        "$(awk '{ print $1 }' "$work/rounds" | median)" \
        "$(awk '{ print $2 }' "$work/rounds" | median)" \
        "$(awk '{ print $3 }' "$work/rounds" | median)" \
        "$(awk '{ print $4 }' "$work/rounds" | median)"
    printf 'ratio %.2f (%s)\n' \
        "$(awk '{ print $3 / $1 }' "$work/rounds" | median)" \
        "$(awk '{ printf "%s%.2f", sep, $3 / $1; sep = " " }' \
            "$work/rounds")"
done

rm -rf "$work"     # the next one needs the space
echo
tests/bench/dump.sh
