#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --json tells how it went as one object, after success and after failure: on
# standard output, or on standard error where the archive goes there.
. "$(dirname "$0")/lib.sh"

truncate -s 6M disk
head -c 5M /dev/urandom | dd of=disk bs=1M conv=notrunc status=none
"$VMA_DUMP" one=disk two=disk > stream 2> err || fail "no stream"
head -c 3000000 stream > cut.qbs

# Fails unless FILE is one line, an object of which EXPRESSION (of o) is true.
expect() { # FILE EXPRESSION
    [ "$(wc -l < "$1")" = 1 ] || fail "not one line: $(cat "$1")"
    python3 -c "import json, sys
o = json.load(open('$1'))
sys.exit(not ($2))" || fail "not $2: $(cat "$1")"
}
expect_exit 0 "$VMA_SINK" --json -o a.vma < stream > got
[ ! -s err ] || fail "also on standard error: $(cat err)"
expect got "o['result'] == 'done' and o['exit-code'] == 0 and 'error' not in o"
expect got "o['output'] == 'a.vma' and o['format'] == 'vma'"
expect got "o['bytes'] == 12 << 20 and o['zero-bytes'] == 2 << 20"
expect got "o['stored-bytes'] == $(stat -c %s a.vma)"
expect got "[(d['name'], d['bytes']) for d in o['disks']] ==
            [('one', 6 << 20), ('two', 6 << 20)]"
expect got "o['seconds'] >= 0 and o['rate'] > 0 and len(o['uuid']) == 36"

expect_exit 4 "$VMA_SINK" --json -o b.vma < cut.qbs > got
expect_message 'vma-sink: nothing was stored: the stream stops'
expect got "o['result'] == 'failed' and o['exit-code'] == 4"
expect got "'the stream stops' in o['error'] and len(o['disks']) == 2"
expect got "'stored-bytes' not in o"
expect_exit 2 "$VMA_SINK" --json -o a.vma < stream > got
expect got "o['exit-code'] == 2 and 'file exists' in o['error']"
expect got "'disks' not in o"
expect_exit 2 "$VMA_SINK" --json < stream > got
expect got "o['exit-code'] == 2 and 'output' not in o"
expect_exit 1 "$VMA_SINK" --json -o $'\xff\n/a.vma' < stream > got
expect got "o['output'].startswith('\\\\xff')"

# Standard output is the archive.
"$VMA_SINK" --json -o - < stream > got 2> err || fail "$(cat err)"
cmp got a.vma || fail "not the archive alone"
expect err "o['result'] == 'done' and o['output'] == '-'"
"$VMA_SINK" --json -o - < cut.qbs > got 2> err && fail "success"
grep '^{' err > object
expect object "o['exit-code'] == 4"

# One socket has the stream, the answer and standard output.
to=("$VMA_DUMP" one=disk two=disk --to)
expect_exit 0 "${to[@]}" "$VMA_SINK --json -o c.vma"
grep '^{' err > object
expect object "o['result'] == 'done' and o['output'] == 'c.vma'"
! grep warning err || fail "a warning"
expect_exit 1 "${to[@]}" "$VMA_SINK --json -o c.vma"
grep '^{' err > object
expect object "o['exit-code'] == 2 and 'file exists' in o['error']"
! grep 'too early' err || fail "it was taken for an answer"

# An object that gets lost takes no archive with it.
expect_exit 0 "$VMA_SINK" --json -f -o a.vma < stream > /dev/full
expect_message 'warning: cannot write to standard output: No space left'
"$VMA_RESTORE" verify a.vma > verdict || fail "$(cat verdict)"
