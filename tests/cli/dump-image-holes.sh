#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Holes that begin and end anywhere, more than a chunk apart or less than a
# cluster, lose nothing.
. "$(dirname "$0")/lib.sh"

python3 - << 'END'
import random
random.seed(1)
for number in range(4):
    with open('disk%d' % number, 'wb') as disk:
        size = 3000000 // 512 * 512 + number * 512
        disk.truncate(size)
        offset = 0
        while offset < size:
            data = random.choice([1, 512, 4096, 5000, 70000, 700000])
            disk.seek(offset)
            disk.write(random.randbytes(min(data, size - offset)))
            offset += data + random.choice([4096, 12288, 65536, 300000])
END
mkdir got
expect_exit 0 "$VMA_DUMP" disk0=disk0 disk1=disk1 disk2=disk2 disk3=disk3 \
    > stream
"$ROOT/tests/lib/qbs.py" got < stream > list || fail "stream"
for i in 0 1 2 3; do
    cmp disk$i got/disk$i || fail "disk$i"
    grep -qx "device $((i + 1)) $(stat -c %s disk$i) disk$i" list || fail "list"
done
