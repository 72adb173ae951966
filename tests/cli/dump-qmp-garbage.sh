#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What is not QMP is refused with exit code 1.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

garbage() { # TEXT WORDS
    fake_qmp --die-at query-backup --garbage "$1"
    expect_exit 1 dump_qmp
    expect_message "$2"
    kill "$FAKE_QMP"
}
garbage 'no JSON' 'what it sends is not JSON'
garbage '{"id": 1' 'what it sends is not JSON'
garbage '[1]' 'a message is not an object'
garbage '' 'cannot understand monitor'
garbage "$(head -c 100000 /dev/zero | tr '\0' '[')" 'is not JSON'
garbage '{"id": 7}' 'an answer has no result'
garbage '{"id": 7, "return": 5}' 'an answer has no result'
garbage '{"id": 7, "return": {"status": 5}}' 'another one'
garbage '{"id": 7, "error": {"desc": "no\u001b[1m"}}' 'no\x1b[1m'
garbage '{"error": {"desc": "bad"}}' 'bad'
