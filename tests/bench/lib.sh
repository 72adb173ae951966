# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the measurements share: a folder in memory, and pairs of commands that
# are timed in turn.  A machine's speed drifts, so what to quote is the median
# of the ratios; on one that has other things to do the processor's time says
# more.  Memory is the peak of the one process that is measured, or, of a
# pipeline, of the largest one in it.
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
    /usr/bin/time -f '%e %M %U %S' -o "$WORK/time" "$@"
}

# Seconds, KiB, and the processor's seconds of what a function runs under timed
once() {
    "$1" > /dev/null 2> "$WORK/errors" || {
        cat "$WORK/errors" >&2
        exit 1
    }
    awk '{ print $1, $2, $3 + $4 }' "$WORK/time"
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

column() {
    awk -v n="$1" '{ print $n }' "$WORK/rounds"
}

# The least, the middle one and the largest of a column
spread() {
    column "$1" | sort -n | awk '{ v[NR] = $1 }
        END { printf "%.2f %.2f %.2f", v[1], v[int((NR + 1) / 2)], v[NR] }'
}

# compare TITLE OTHER OURS: two functions, after which the words are named that
# follow an underscore; OURS in so many times of OTHER
compare() {
    local i

    once "$2" > /dev/null
    once "$3" > /dev/null
    for ((i = 0; i < ROUNDS; i++)); do
        echo "$(once "$2") $(once "$3")"
    done | awk '{ print $0, $4 / ($1 ? $1 : 0.01), $6 / ($3 ? $3 : 0.01) }' \
        > "$WORK/rounds"
    printf '%s: %s %.2f s, %s %.2f s and %d KiB; ratio %.2f (%s), %s %.2f (%s)\n' \
        "$1" "${2#*_}" "$(column 1 | median)" "${3#*_}" \
        "$(column 4 | median)" "$(column 5 | median)" "$(column 7 | median)" \
        "$(spread 7)" "of the processor's time" "$(column 8 | median)" \
        "$(spread 8)"
}

# os_image MIB IMAGE: an ext4 file system with the files of this system's own
# programs, libraries and documents, spread evenly over all there are
os_image() {
    local bytes=$(($1 * 1048576)) tree=$WORK/tree

    mkdir "$tree"
    { find /usr/bin /usr/lib /usr/share -xdev -type f -readable -size +0 \
        -size -16M -printf '%s %p\n' 2> "$WORK/errors" || true; } |
        awk 'NF == 2 { print int(($1 + 4095) / 4096) * 4096, $2 }' |
        sort -k 2 > "$WORK/all"
    awk -v want="$((bytes * 3 / 4))" 'NR == FNR { total += $1; next }
        { all += $1 }
        sum + $1 <= all * (want < total ? want / total : 1) {
            sum += $1
            print $2
        }' "$WORK/all" "$WORK/all" > "$WORK/list"
    cpio --quiet -pdm "$tree" < "$WORK/list"
    truncate -s "$bytes" "$2"
    mke2fs -q -t ext4 -i 4096 -E nodiscard -d "$tree" "$2" > "$WORK/errors"
    rm -r "$tree" "$WORK/all" "$WORK/list"
}
