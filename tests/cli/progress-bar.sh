#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A bar is drawn on a terminal, by one program at a time, and where it is asked
# for; nowhere else.
# shellcheck disable=SC2016 # commands for another shell
. "$(dirname "$0")/lib.sh"

truncate -s 6M disk
head -c 5M /dev/urandom | dd of=disk bs=1M conv=notrunc status=none
"$VMA_DUMP" d=disk > stream 2> err || fail "no stream"
"$VMA_SINK" -o x.vma < stream 2> err || fail "no archive"
# Most of a file, and the rest when that was long enough ago for a bar.
slowly() { # FILE
    head -c 4500000 "$1"
    sleep 0.5
    tail -c +4500001 "$1"
}
bar='\[#+\.+\] +[0-9]+%  [0-9.]+ MiB of 6.0 MiB, [0-9]+% zero'

# A log gets the summary and nothing else.
slowly stream | "$VMA_SINK" -o a.vma 2> err || fail "$(cat err)"
summary='^a.vma: 1 disk, 6.0 MiB \(17% zero\), stored in 5.0 MiB, [0-9.]+ s, .*/s$'
grep -qE "$summary" err || fail "$(cat err)"
[ "$(wc -l < err)" = 1 ] || fail "more than a line: $(cat err)"
slowly x.vma | "$VMA_RESTORE" extract - out 2> err || fail "$(cat err)"
[ "$(wc -l < err)" = 1 ] || fail "more than a line: $(cat err)"
slowly x.vma | "$VMA_RESTORE" verify - > verdict 2> err || fail "$(cat err)"
[ ! -s err ] || fail "$(cat err)"

# Also there if it is asked for; the summary still has a line of its own.
slowly stream | "$VMA_SINK" -f -o a.vma --progress=bar 2> err ||
    fail "$(cat err)"
tr '\r' '\n' < err > lines
grep -qE "^$bar" lines || fail "no bar: $(cat lines)"
tail -n 1 lines | grep -qE "$summary" || fail "$(cat lines)"
# Without a total there is no bar to fill.
slowly x.vma | "$VMA_RESTORE" verify --progress=bar - > verdict 2> err ||
    fail "$(cat err)"
tr '\r' '\n' < err | grep -q '^[0-9.]* [a-zA-Z]*' || fail "$(cat err)"
! grep -qE '%|#' err || fail "a share of what nobody knows: $(cat err)"
"$VMA_RESTORE" extract --force --progress=bar x.vma out 2> err ||
    fail "$(cat err)"

command -v script > /dev/null || skip "script is not installed"
on_terminal() { # COMMANDS
    # With the function in it: a shell between may not hand it on.
    printf '%s\n' 'set -eo pipefail' "$(declare -f slowly)" "$1" > commands
    TERM=xterm script -qec 'bash commands' /dev/null < /dev/null > typed ||
        fail "$(cat typed)"
    tr '\r' '\n' < typed > lines
}
on_terminal 'slowly stream | "$VMA_SINK" -f -o a.vma'
grep -qE "^$bar" lines || fail "no bar: $(cat lines)"
grep -qE "$summary" lines || fail "no summary: $(cat lines)"
on_terminal 'slowly stream | "$VMA_SINK" -f -o a.vma --progress=none'
! grep -q '%  ' lines || fail "a bar: $(cat lines)"
on_terminal 'slowly stream | "$VMA_SINK" -f -o a.vma 2> err'
[ "$(wc -l < err)" = 1 ] || fail "a bar: $(cat err)"

# Another one that holds the terminal, by the lock that these take, draws alone.
on_terminal 'exec 9< /proc/self/fd/2
    flock 9
    slowly stream | "$VMA_SINK" -f -o a.vma 9<&-'
! grep -q '%  ' lines || fail "a second bar: $(cat lines)"
on_terminal '(flock 9; sleep 0.2) 9< /proc/self/fd/2 &
    slowly stream | "$VMA_SINK" -f -o a.vma'
grep -qE "^$bar" lines || fail "the terminal was not taken over: $(cat lines)"
