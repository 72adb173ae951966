#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A client that goes away with many requests under way, some of them answered,
# ends neither the server nor what other clients read, with "serve" and with the
# plugin alone.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
make_archives

cat > client.py <<'END'
import socket, struct, sys
# Clients that ask for more than fits into the socket, and go away.
path, count = sys.argv[1:]
for _ in range(int(count)):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    f = s.makefile('rb')
    assert f.read(16) == b'NBDMAGICIHAVEOPT' and f.read(2)
    s.sendall(struct.pack('>I', 3) + b'IHAVEOPT' + struct.pack(
        '>II', 1, 1) + b'a')
    assert len(f.read(10)) == 10
    s.sendall(b''.join(struct.pack('>IHHQQI', 0x25609513, 0, 0, n, n << 18,
                                   1 << 18) for n in range(30)))
    assert f.read(4) == b'\x67\x44\x66\x98'
    f.close()
    s.close()
END

survives() { # ARCHIVE SERVER-COMMAND...
    local archive=$1 server code
    shift
    "$@" 2> server.err &
    server=$!
    for _ in {1..500}; do
        [ -S socket ] && break
        sleep 0.02
    done
    python3 client.py "$T/socket" 40 || fail "$archive: a client: $(cat server.err)"
    nbdcopy "nbd+unix:///a?socket=$T/socket" out ||
        fail "$archive: no copy: $(cat server.err)"
    cmp out a.raw || fail "$archive: disk a differs"
    kill "$server"
    wait "$server"
    code=$?
    [ "$code" = 0 ] || fail "$archive: exit code $code: $(cat server.err)"
    rm -f out socket
}

for archive in ours.vma ours.vma.zst; do
    survives $archive "$VMA_RESTORE" serve $archive --unix socket
    survives $archive nbdkit -f -r -U socket "$PLUGIN" $archive
done

# shellcheck disable=SC2016 # $uri and $unixsocket are nbdkit's
expect_exit 0 "$VMA_RESTORE" serve ours.vma.zst -d a --run \
    'python3 client.py "$unixsocket" 40 && nbdcopy "$uri" out'
cmp out a.raw || fail "--run: disk a differs"
