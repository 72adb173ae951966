# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A vma-sink whose archive nobody takes for a while: sourced after cli/lib.sh.
# Makes a "stream" of 12 MiB of data and its archive "plain.vma".

head -c 12M /dev/urandom > disk
"$VMA_DUMP" d=disk > stream 2> err || fail "no stream: $(cat err)"
"$VMA_SINK" -o plain.vma < stream 2> err || fail "no archive: $(cat err)"
# shellcheck disable=SC2034 # for the tests
STREAM_BYTES=$(stat -c %s stream)
mkfifo out

# Waits until a command succeeds.
await() { # WHAT COMMAND...
    local what=$1 i
    shift
    for ((i = 0; i < 6000; i++)); do
        "$@" && return
        sleep 0.01
    done
    fail "not within a minute: $what"
}

# Starts vma-sink as $pid, with its standard error in "err", and waits until
# the producer could write so many bytes of the stream (or vma-sink has ended).
stall() { # BYTES [VARIABLE=VALUE...] ARGUMENT...
    local bytes=$1 environment=()
    shift
    while [[ ${1:-} == [A-Z]*=* ]]; do
        environment+=("$1")
        shift
    done
    rm -f wrote a.vma
    exec 3<> out
    { head -c "$bytes"; touch wrote; cat; } < stream 3>&- |
        env --default-signal=INT "${environment[@]}" \
            "$VMA_SINK" "$@" -o - > out 2> err 3>&- &
    pid=$!
    await "the producer writes $bytes bytes: $(cat err)" test -e wrote
}

# The archive is taken; vma-sink is to end with CODE.
release() { # CODE
    local code reader
    exec 4< out
    cat <&4 > a.vma 3>&- &
    reader=$!
    exec 3>&- 4<&-
    wait "$pid"
    code=$?
    wait "$reader"
    [ "$code" = "$1" ] || fail "exit code $code, not $1: $(cat err)"
    [ "$code" != 0 ] || cmp a.vma plain.vma || fail "another archive"
}
