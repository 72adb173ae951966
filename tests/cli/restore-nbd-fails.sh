#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A write, a zeroing or a flush that fails at the NBD server, a server that dies
# or hangs: exit code 1, and a message that says what has been overwritten.
. "$(dirname "$0")/lib.sh"

command -v nbdkit > /dev/null || skip "no nbdkit"
mkvma=$ROOT/tests/lib/mkvma.py
"$mkvma" --image a.raw 10000384 1
"$mkvma" x.vma a=a.raw

# The exit code of the command that nbdkit runs, not of nbdkit: 1.32 may abort
# when a client leaves with requests under way.
served() { # ARGUMENT... COMMAND
    rm -f code
    # shellcheck disable=SC2016 # $uri is nbdkit's
    nbdkit -U - "${@:1:$#-1}" --run "${*: -1}; echo \$? > code" 2> err
    cat code
}
fails() { # ARGUMENT...
    local code
    # shellcheck disable=SC2016
    code=$(served "$@" \
        'echo "$uri" > uri; "$VMA_RESTORE" extract -f -d "a=$uri" x.vma')
    [ "$code" = 1 ] || fail "exit code $code, not 1: $*: $(cat err)"
    expect_message "'$(cat uri)' has been partly overwritten, nothing else was"
}
fails --filter=error memory 10000384 error-pwrite=ENOSPC error-pwrite-rate=1
expect_message 'the NBD server: No space left on device'
fails --filter=error memory 10000384 error-zero=EIO error-zero-rate=1
expect_message 'the NBD server: Input/output error'
# Whichever write is the first to fail, the last ones too.
cat > plugin.sh <<'END'
#!/bin/sh
case $1 in
get_size) echo 1500160 ;;
can_write | can_zero | can_flush) exit 0 ;;
thread_model) echo serialize_all_requests ;;
pwrite | zero)
    [ "$1" = zero ] || cat > /dev/null
    echo x >> count
    [ "$(wc -l < count)" != "$FAIL_AT" ] || { echo EIO >&2; exit 1; }
    ;;
flush)
    [ "$FAIL_AT" != flush ] || { echo EIO >&2; exit 1; }
    echo flushed >> count
    ;;
*) exit 2 ;;
esac
END
# (More requests than can be under way at once.)
truncate -s 1500160 small.raw
for i in {0..10}; do
    printf data | dd of=small.raw bs=64K seek=$((2 * i)) conv=notrunc status=none
done
"$mkvma" small.vma a=small.raw
plugin() { # FAIL-AT
    rm -f count
    # shellcheck disable=SC2016
    FAIL_AT=$1 served sh plugin.sh \
        '"$VMA_RESTORE" extract -f -d "a=$uri" small.vma'
}
chmod +x plugin.sh
sed -i "s/count/'${T//\//\\/}\/count'/g" plugin.sh
[ "$(plugin 0)" = 0 ] || fail "the plugin does not work: $(cat err)"
[ "$(tail -n 1 count)" = flushed ] || fail "no flush at the end"
requests=$(($(wc -l < count) - 1))
[ "$requests" -gt 20 ] || fail "only $requests requests"
for at in $(seq 1 "$requests") flush; do
    code=$(plugin "$at")
    [ "$code" = 1 ] || fail "request $at of $requests: exit code $code"
    expect_message 'has been partly overwritten, nothing else was restored: '
    expect_message 'the NBD server: Input/output error'
done

# It dies between two writes: the archive has not come yet.
mkfifo pipe
serve() { # ARGUMENT...
    rm -f pid socket
    nbdkit -U "$T/socket" -P pid "$@" || fail "no nbdkit"
}
uri="nbd+unix:///?socket=$T/socket"
serve memory 10000384
"$VMA_RESTORE" extract -f -d "a=$uri" - < pipe 2> err &
restore=$!
exec 9> pipe
head -c 1500000 x.vma >&9
kill -9 "$(cat pid)"
tail -c +1500001 x.vma >&9
exec 9>&-
wait $restore
code=$?
[ "$code" = 1 ] || fail "a server that dies: exit code $code: $(cat err)"
expect_message "'$uri' has been partly overwritten, nothing else was restored: "

# It takes nothing any more, or says nothing from the start: only a signal ends
# the waiting.
serve --filter=log --filter=delay memory 10000384 wdelay=1000 logfile=log
env --default-signal=INT "$VMA_RESTORE" extract -f -d "a=$uri" x.vma 2> err &
restore=$!
for _ in {1..1000}; do
    grep -q ' Write \| Zero ' log && break
    sleep 0.01
done
kill -s INT $restore
wait $restore
code=$?
kill -9 "$(cat pid)"
[ "$code" = 1 ] || fail "a server that hangs: exit code $code: $(cat err)"
expect_message 'interrupted by SIGINT'
expect_message "'$uri' has been partly overwritten"

cat > silent.py <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print('listening', flush=True)
c, _ = s.accept()
print('accepted', flush=True)
c.recv(1)
END
coproc python3 silent.py "$T/silent"
read -r _ <&"${COPROC[0]}"
"$VMA_RESTORE" extract -f -d "a=nbd+unix:///?socket=$T/silent" x.vma 2> err &
restore=$!
read -r _ <&"${COPROC[0]}"
kill -s TERM $restore
wait $restore
code=$?
[ "$code" = 1 ] || fail "a silent server: exit code $code: $(cat err)"
expect_message 'nothing was restored: cannot connect to '
expect_message 'interrupted by SIGTERM'
