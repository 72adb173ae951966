#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# SIGINT ends vma-dump with exit code 1 within seconds, though its reader has
# stopped reading.
. "$(dirname "$0")/lib.sh"

head -c 8M /dev/urandom > image
mkfifo pipe
exec 8<> pipe
# (A background job of a script would ignore SIGINT.)
env --default-signal=INT "$VMA_DUMP" disk=image > pipe 2> err &
pid=$!
sleep 0.5
kill -s INT "$pid"
( sleep 10; kill -s KILL "$pid" ) 2> /dev/null &
wait "$pid"
code=$?
[ "$code" = 1 ] || fail "exit code $code: $(cat err)"
grep -q 'interrupted by SIGINT' err || fail "$(cat err)"
