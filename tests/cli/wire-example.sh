#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The worked example in wire-format.md is, byte by byte, the test vector, and
# the vectors are what their generator makes.
. "$(dirname "$0")/lib.sh"

expect_exit 0 python3 - "$ROOT" <<'END'
import re, sys

root = sys.argv[1]
text = open(root + '/wire-format.md', encoding='utf-8').read()
text = text[text.index('## 10.'):]
out = b''
for line in re.findall('^    ([0-9a-f]{4}  .*)$', text, re.M):
    offset, data = line[:4], line[6:32].strip()
    assert int(offset, 16) == len(out), line
    times = re.fullmatch('([0-9a-f]{2}) x ([0-9]+)', data)
    out += (bytes.fromhex(times[1]) * int(times[2]) if times
            else bytes.fromhex(data))
assert out == open(root + '/tests/data/stream/example.qbs', 'rb').read()
END
cp "$ROOT/tests/data/make-stream-vectors.py" .
expect_exit 0 python3 make-stream-vectors.py
diff -r stream "$ROOT/tests/data/stream" || fail "vectors are out of date"
