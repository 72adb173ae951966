#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# As many and as large configs as a stream can carry reach QEMU.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

head -c 65535 /dev/urandom > large
arguments=()
for i in {1..256}; do
    arguments+=(-c "large=$i")
done
fake_qmp --end=done
expect_exit 0 dump_qmp "${arguments[@]}"
log_without_queries > asked
python3 - << 'END' || fail "configs"
import base64, json
log = [json.loads(line) for line in open('asked')]
configs = log[2]['arguments']['configs']
large = open('large', 'rb').read()
assert [c['name'] for c in configs] == [str(i) for i in range(1, 257)]
assert all(base64.b64decode(c['data']) == large for c in configs)
END
