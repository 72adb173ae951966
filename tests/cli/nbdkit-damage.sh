#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A flipped bit makes reads of its extent's clusters fail with EIO, and the
# server says what is damaged; everything else is right, before and after.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
make_archives
needs qemu-io

for archive in ours.vma ours.vma.zst; do
    cp $archive bad.vma
    # The byte in the middle is some disk's data.
    at=$(($(stat -c %s $archive) / 2))
    byte=$(od -An -tu1 -j $at -N 1 bad.vma)
    # shellcheck disable=SC2059 # that is its octal number
    printf "\\$(printf %o $((byte ^ 16)))" |
        dd of=bad.vma bs=1 seek=$at conv=notrunc status=none
    "$VMA_RESTORE" verify bad.vma > lost 2> /dev/null
    [ $? = 3 ] || fail "nothing is damaged"
    sed -nE "s/.*disk '(.)', bytes ([0-9]+) to ([0-9]+) .*/\1 \2 \3/p" lost > bad
    [ -s bad ] || fail "verify lists nothing: $(cat lost)"
    serve socket "$PLUGIN" bad.vma 2> server.log
    python3 - "$T/socket" <<'END' > result || fail "$archive"
import subprocess, sys
bad = [line.split() for line in open('bad')]
count = {True: 0, False: 0}
for disk in 'ab':
    data = open(disk + '.raw', 'rb').read()
    uri = f'nbd+unix:///{disk}?socket={sys.argv[1]}'
    starts = range(0, len(data), 65536)
    commands = [x for at in starts for x in
                ('-c', f'read -v {at} {min(65536, len(data) - at)}')]
    out = subprocess.run(['qemu-io', '-r', '-f', 'raw', *commands, uri],
                         capture_output=True, text=True).stdout
    got, errors = {}, 0
    for line in out.splitlines():
        if 'read failed' in line:
            assert 'Input/output error' in line, line
            errors += 1
        elif line[8:11] == ':  ':
            got[int(line[:8], 16)] = bytes.fromhex(line[11:58])
    for at in starts:
        # Zeroes are what the extent's header says, which has a checksum.
        is_bad = any(data[at:at + 65536]) and any(
            d == disk and int(x) <= at <= int(y) for d, x, y in bad)
        count[is_bad] += 1
        errors -= is_bad
        for i in range(at, min(at + 65536, len(data)), 16):
            assert (i in got) != is_bad, (disk, i)
            assert is_bad or got[i] == data[i:i + 16], (disk, i)
    assert errors == 0
assert count[True] > 0 and count[False] > 0, count
END
    read -r disk _ < bad
    where="cannot read disk '$disk', [0-9]+ bytes at offset [0-9]+"
    grep -qE "$where: '$T/bad.vma': extent at offset [0-9]+: " server.log || fail "the server does not say what is damaged"
    kill "$(cat socket.pid)"
    wait
    rm -f socket socket.pid
done
