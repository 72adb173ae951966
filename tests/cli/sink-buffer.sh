#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With --buffer SIZE a producer can write as much as that while nobody takes the
# archive, and no more is buffered; with --spool all that there is; and then the
# archive is the same.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/stalled.sh"

mkdir spool

# What the last JSON line says.
buffered() {
    grep -oE '"buffered-bytes":[0-9]+' err | tail -n 1 | cut -d: -f2
}
lines_more_than() { # COUNT
    [ "$(wc -l < err)" -gt "$1" ]
}
asked() { # AT_LEAST
    local before
    before=$(wc -l < err)
    kill -USR1 "$pid" || fail "it has ended: $(cat err)"
    await 'an answer' lines_more_than "$before"
    [ "$(buffered)" -ge "$1" ]
}

# Of the buffer a piece that is in use may be taken in part.
stall $((8 << 20)) --buffer 8M --progress=json
await 'the buffer is full' asked $(((8 << 20) - (256 << 10) + 1))
[ "$(buffered)" -le $((8 << 20)) ] || fail "$(buffered) bytes buffered"
release 0
! tail -n 1 err | grep -q buffered || fail "buffered at the end: $(cat err)"

# As a line for people.
asked_for_line() {
    kill -USR1 "$pid" || fail "it has ended: $(cat err)"
    grep -qE '^vma-sink: copying .*% zero, [0-9.]+ MiB buffered' err
}
stall $((2 << 20)) --buffer 2M
await 'a line' asked_for_line
release 0

# All of it but what has gone into the archive's pipe already.
stall "$STREAM_BYTES" --buffer 1M --spool spool --progress=json
await 'all is buffered' asked $((8 << 20))
[ -z "$(ls -A spool)" ] || fail "a file with a name: $(ls -A spool)"
release 0
stall "$STREAM_BYTES" --spool spool --spool-size 12M
release 0

# No more than that goes into the file.
stall $((5 << 20)) --buffer 1M --spool spool --spool-size 4M --progress=json
await 'both are full' asked $(((5 << 20) - (512 << 10) + 1))
[ "$(buffered)" -le $((5 << 20)) ] || fail "$(buffered) bytes buffered"
release 0

# It ends at once when it is told to, and however it ends nothing is left.
for signal in INT KILL; do
    [ $signal = INT ] && expected=1 || expected=137
    stall "$STREAM_BYTES" --buffer 1M --spool spool
    kill -s $signal "$pid"
    wait "$pid"
    code=$?
    exec 3>&-
    [ $code = "$expected" ] || fail "SIG$signal: exit code $code"
    [ -z "$(ls -A spool)" ] || fail "SIG$signal: left over: $(ls -A spool)"
done

# The stream is over when it says so, although the pipe stays open.
mkfifo in
"$VMA_SINK" --buffer 1M -o e.vma < in 2> err &
pid=$!
exec 9> in
cat stream >&9
wait $pid || fail "$(cat err)"
exec 9>&-
cmp e.vma plain.vma || fail "another archive"

# Compressed, and as a folder.
"$VMA_SINK" --buffer 1M --spool spool -o b.vma.zst < stream 2> err ||
    fail "$(cat err)"
"$VMA_RESTORE" verify b.vma.zst > verdict 2> err || fail "$(cat err verdict)"
"$VMA_SINK" --buffer 1M --format=raw -o raw < stream 2> err ||
    fail "$(cat err)"
cmp raw/disk-d.raw disk || fail "another disk"
