#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With --answer vma-dump succeeds only when the reader of its stream has said
# that the backup is stored; what it says else is passed on, and silence and
# nonsense are failures.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

head -c 3M /dev/urandom > disk
echo memory: 1 > vm.conf
expect_exit 0 python3 - << 'END' || exit 1
import os, signal, socket, struct, subprocess, sys, time, zlib

dump, sink = os.environ['VMA_DUMP'], os.environ['VMA_SINK']
sys.path.insert(0, os.environ['ROOT'] + '/tests/lib')
import qbs


def start(*options):
    ours, theirs = socket.socketpair()
    # (A background job of a script would ignore SIGINT.)
    child = subprocess.Popen([dump, 'd=disk', '--answer', *options],
                             stdout=theirs, stderr=subprocess.PIPE,
                             preexec_fn=lambda: signal.signal(
                                 signal.SIGINT, signal.SIG_DFL))
    theirs.close()
    return child, ours


def end(child, code, words):
    message = child.stderr.read().decode()
    assert child.wait() == code, (child.returncode, message)
    assert words in message, message


def to_sink(code, words, archive, *options):
    """OPTIONS are for both."""
    child, ours = start(*options)
    reader = subprocess.run([sink, '-o', archive, *options], stdin=ours,
                            stderr=subprocess.PIPE)
    ours.close()
    end(child, code, words)
    return reader.returncode


def read(ours):
    reader = qbs.Reader(ours.makefile('rb', buffering=0))
    reader.read_preamble()
    assert reader.features == qbs.PAYLOAD_HASH | qbs.ANSWER
    while reader.read_record() != qbs.END:
        pass
    return reader.uuid


def answer(uuid, status, text=b''):
    data = struct.pack('>4sIII', b'QBSa', status, len(text), 0) + text
    return data + struct.pack('>I', zlib.crc32(uuid + data))


# The real one.
assert to_sink(0, '3.0 MiB in', 'a.vma') == 0
os.stat('a.vma')
# It refuses to start, and fails once it has read the preamble.
assert to_sink(1, 'the reader has ended, see its message', 'a.vma') == 2
assert to_sink(1, 'the reader of the stream has failed: cannot add',
               'b.vma', '-c', 'vm.conf') == 2

# It commits, late.  (That many microseconds do not fit 32 bits.)
child, ours = start('--answer-timeout=4295')
uuid = read(ours)
time.sleep(0.3)
assert child.poll() is None, child.stderr.read()
ours.sendall(answer(uuid, 0))
end(child, 0, '3.0 MiB in')

# It fails at the end, with and without a reason.
child, ours = start()
ours.sendall(answer(read(ours), 1, b'no space on /srv'))
end(child, 1, 'the reader of the stream has failed: no space on /srv')
child, ours = start()
ours.sendall(answer(read(ours), 1))
end(child, 1, 'the reader of the stream has failed: it does not say why')

# It fails in the middle.
child, ours = start()
reader = qbs.Reader(ours.makefile('rb', buffering=0))
reader.read_preamble()
reader.read_record()
ours.sendall(answer(reader.uuid, 1, b'no space in the middle'))
ours.close()
del reader
end(child, 1, 'the reader of the stream has failed: no space in the middle')

# Also where it neither reads on nor closes then.
child, ours = start()
reader = qbs.Reader(ours.makefile('rb', buffering=0))
reader.read_preamble()
ours.sendall(answer(reader.uuid, 1, b'no space, and no end'))
end(child, 1, 'the reader of the stream has failed: no space, and no end')

# What can't be an answer yet: it has not got the end.
child, ours = start()
reader = qbs.Reader(ours.makefile('rb', buffering=0))
reader.read_preamble()
ours.sendall(answer(reader.uuid, 0))
end(child, 1, 'the reader says that the backup is stored, and does not have')
child, ours = start()
ours.sendall(b'Welcome')
end(child, 1, 'the reader has sent something back too early')

# That it says nothing any more is no reason not to go on.
child, ours = start()
ours.shutdown(socket.SHUT_WR)
read(ours)
end(child, 5, 'the reader has ended without an answer')

# But that it reads nothing any more is one.
child, ours = start()
ours.shutdown(socket.SHUT_RD)
end(child, 1, 'the reader has ended, see its message')

# It is silent, ends, or talks nonsense.
unknown = 'it is not known whether the backup is stored: '
child, ours = start('--answer-timeout=1')
read(ours)
end(child, 5, unknown + 'the reader did not answer in time')
child, ours = start('--answer-timeout=0')
read(ours)
ours.close()
end(child, 5, unknown + 'the reader has ended without an answer')
child, ours = start()
read(ours)
ours.sendall(b'ok')
end(child, 5, unknown + 'what the reader has sent back is no answer')
child, ours = start()
read(ours)
ours.sendall(answer(bytes(16), 0))
end(child, 5, unknown + "the reader's answer is damaged")

# The user does not want to wait.  Nothing follows END.
child, ours = start()
read(ours)
child.send_signal(signal.SIGINT)
end(child, 5, unknown + 'interrupted by SIGINT')
assert ours.recv(1) == b''
END

# A QEMU is asked to wait for it.
fake_qmp --end=done
python3 - << 'END' || fail "$(cat log)"
import json, os, socket, subprocess
ours, theirs = socket.socketpair()
subprocess.run([os.environ['VMA_DUMP'], '--qmp', 'qmp', '--answer',
                '--answer-timeout=7'], stdout=theirs, check=True)
backup = [line for line in open('log') if '"backup"' in line]
arguments = json.loads(backup[0])['arguments']
assert arguments == {'backup-file': 'fd:vma-dump', 'answer': True,
                     'answer-timeout': 7}
END

# Where nothing can come back it is refused.
"$VMA_DUMP" d=disk --answer 2> err | cat > stream
[ "${PIPESTATUS[0]}" = 2 ] || fail "a pipe is taken"
expect_message "--answer needs a socket"
[ ! -s stream ] || fail "something was written"
expect_exit 2 "$VMA_DUMP" --qmp qmp --answer > stream
expect_message "--answer needs a socket"
expect_exit 2 "$VMA_DUMP" d=disk --answer-timeout=5 > stream
expect_message "--answer-timeout needs --to or --answer"
expect_exit 2 "$VMA_DUMP" d=disk --answer --answer-timeout=-5 > stream
expect_message "a timeout of -5 seconds"
