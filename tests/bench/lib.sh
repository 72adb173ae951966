# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the measurements share: a folder in memory, and pairs of commands that
# are timed in turn.  A machine's speed drifts, so what to quote is the median
# of the ratios.  Memory is the peak of the one process that is measured.
#
#   B=BUILD [MIB=8192] [ROUNDS=5] [BENCH_DIR=/dev/shm]

B=${B:-$PWD/build}
MIB=${MIB:-8192}
ROUNDS=${ROUNDS:-5}
BENCH_DIR=${BENCH_DIR:-/dev/shm}
export LC_ALL=C

# need_space MIB: sets WORK to a new folder with that much room
need_space() {
    local free_mib

    free_mib=$(($(stat -f -c '%a * %S' "$BENCH_DIR") / 1048576))
    if [ "$(stat -f -c %T "$BENCH_DIR")" != tmpfs ]; then
        echo "bench: $BENCH_DIR is no tmpfs: this measures the disk" >&2
    fi
    if [ "$free_mib" -lt "$1" ]; then
        echo "bench: $BENCH_DIR has $free_mib MiB free, $1 are needed; set MIB" \
            "to less" >&2
        exit 1
    fi
    WORK=$(mktemp -d "$BENCH_DIR/vma-sink-bench.XXXXXX")
    trap 'rm -rf "$WORK"' EXIT
}

# timed COMMAND...: for the functions that compare calls, once in each
timed() {
    /usr/bin/time -f '%e %M' -o "$WORK/time" "$@"
}

# Seconds and KiB of what the function runs under timed
once() {
    "$1" > /dev/null 2> "$WORK/errors" || {
        cat "$WORK/errors" >&2
        exit 1
    }
    cat "$WORK/time"
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

column() {
    awk -v n="$1" '{ print $n }' "$WORK/rounds"
}

# compare TITLE OTHER OURS: two functions, after which the words are named that
# follow an underscore; OURS in so many times of OTHER
compare() {
    local i

    once "$2" > /dev/null
    once "$3" > /dev/null
    for ((i = 0; i < ROUNDS; i++)); do
        echo "$(once "$2") $(once "$3")"
    done | awk '{ print $0, $3 / ($1 ? $1 : 0.01) }' > "$WORK/rounds"
    printf '%s: %s %.2f s, %s %.2f s and %d KiB; ratio %.2f (%s)\n' \
        "$1" "${2#*_}" "$(column 1 | median)" "${3#*_}" \
        "$(column 3 | median)" "$(column 4 | median)" "$(column 5 | median)" \
        "$(column 5 | xargs printf '%.2f ' | sed 's/ $//')"
}
