#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A folder that gets another name while a backup is stored in it: that fails, and
# nothing is left in the folder.
. "$(dirname "$0")/lib.sh"

for arguments in '-o out/a.vma' '--no-confine -o out/a.vma' \
    '--format=raw -o out/a' '--proxmox 100 -o out'; do
    for again in '' out; do
        rm -rf out moved
        mkdir out
        mkfifo pipe
        # shellcheck disable=SC2086 # words
        timeout 60 "$VMA_SINK" $arguments < pipe 2> err &
        pid=$!
        exec 9> pipe
        for _ in {1..1000}; do
            [ -n "$(ls out)" ] && break
            sleep 0.01
        done
        [ -n "$(ls out)" ] || fail "$arguments: no temporary file"
        mv out moved
        [ -z "$again" ] || mkdir out
        cat "$(vector example)" >&9
        exec 9>&-
        wait "$pid"
        code=$?
        rm pipe
        cat err >&2
        [ "$code" = 1 ] || [[ $arguments = --proxmox* && $code = 2 ]] ||
            fail "$arguments: exit code $code"
        [ -z "$(ls -A moved)" ] || fail "$arguments: left $(ls moved)"
        [ -z "$again" ] || [ -z "$(ls -A out)" ] || fail "$arguments: in out"
    done
done
