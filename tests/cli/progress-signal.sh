#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# On SIGUSR1 each program prints one line and goes on, whatever it is blocked in:
# a read, a write, a sync; and the data are not harmed.
. "$(dirname "$0")/lib.sh"

truncate -s 6M disk
head -c 5M /dev/urandom | dd of=disk bs=1M conv=notrunc status=none
"$VMA_DUMP" d=disk > stream 2> err || fail "no stream"
"$VMA_SINK" -o plain.vma < stream 2> err || fail "no archive"
mkfifo pipe

# Waits for COUNT lines that PATTERN describes.
await() { # COUNT PATTERN
    local i
    for ((i = 0; i < 1000; i++)); do
        [ "$(grep -cE "$2" err)" -ge "$1" ] && return
        sleep 0.01
    done
    fail "not $1 lines '$2': $(cat err)"
}
# Asks three times, and each time waits for the line.
ask() { # PID PATTERN
    local n
    for n in 1 2 3; do
        kill -USR1 "$1" || fail "it has ended: $(cat err)"
        await $n "$2"
    done
}
# Before that a signal would end it, and what it answers would be too early.
started() { # PID
    local i
    for ((i = 0; i < 1000; i++)); do
        [ "$(compgen -G "/proc/$1/task/*/stat" | wc -l)" -ge 2 ] && return
        sleep 0.01
    done
    fail "no second thread"
}
ended() { # PID
    wait "$1" || fail "exit code $?: $(cat err)"
}

# Blocked in a read: of the preamble, of a payload.
"$VMA_SINK" -o a.vma < pipe 2> err &
pid=$!
exec 9> pipe
started $pid
ask $pid '^vma-sink: waiting for 0:[0-9]{2}: 0 bytes$'
head -c 3000000 stream >&9
for ((i = 0; i < 1000; i++)); do
    [ "$(stat -c %s a.vma.*.partial)" -gt 1000 ] && break
    sleep 0.01
done
ask $pid '^vma-sink: copying for 0:[0-9]{2}: [0-9]+%, .* of 6.0 MiB, 0% zero'
# And while it works.
for _ in {1..20}; do
    kill -USR1 $pid
    head -c 100000
done >&9 < <(tail -c +3000001 stream)
tail -c +5000001 stream >&9
exec 9>&-
ended $pid
cmp a.vma plain.vma || fail "another archive"
tail -n 1 err | grep -q '^a.vma: ' || fail "$(cat err)"

# As JSON, where that is asked for.
"$VMA_SINK" -f -o a.vma --progress=json < pipe 2> err &
pid=$!
exec 9> pipe
started $pid
await 1 '"phase":"waiting"'
kill -USR1 $pid
await 2 '"phase":"waiting"'
cat stream >&9
exec 9>&-
ended $pid
! grep -q '^vma-sink' err || fail "$(cat err)"

# Blocked in a write, by a reader that stalls.
"$VMA_DUMP" d=disk > pipe 2> err &
pid=$!
exec 9< pipe
started $pid
ask $pid '^vma-dump: (waiting|copying) for 0:[0-9]{2}: '
cat <&9 > got
exec 9<&-
ended $pid
"$VMA_SINK" -f -o a.vma < got 2> err || fail "$(cat err)"
"$VMA_RESTORE" extract a.vma dumped 2> err || fail "$(cat err)"
cmp dumped/disk-d.raw disk || fail "vma-dump sent something else"

# Both commands that take long.
for command in verify extract; do
    parameters=(-)
    [ $command = verify ] || parameters+=(out)
    "$VMA_RESTORE" $command "${parameters[@]}" < pipe 2> err > verdict &
    pid=$!
    exec 9> pipe
    started $pid
    head -c 4500000 plain.vma >&9
    ask $pid '^vma-restore: [a-z]+ for 0:[0-9]{2}: [0-9.]+ '
    tail -c +4500001 plain.vma >&9
    exec 9>&-
    ended $pid
done
cmp out/disk-d.raw disk || fail "another disk"

# While the disk takes its time.
case $(ldd "$VMA_SINK") in
*libasan*)
    echo "without a slow sync: a preloaded library does not go with sanitizers"
    exit 0
    ;;
esac
LD_PRELOAD=$B/tests/fault.so FAULT_SYNC_SLEEP=1500 \
    "$VMA_SINK" -f -o a.vma < stream 2> err &
pid=$!
started $pid
for ((i = 0; i < 200; i++)); do
    kill -USR1 $pid 2> /dev/null || break
    grep -q '^vma-sink: syncing' err && break
    sleep 0.02
done
grep -qE '^vma-sink: syncing for 0:[0-9]{2}: 100%, 6.0 MiB of 6.0 MiB, 16% zero$' \
    err || fail "$(cat err)"
! grep -q '^a.vma: ' err || fail "only after the sync: $(cat err)"
ended $pid
cmp a.vma plain.vma || fail "another archive"
