# SPDX-License-Identifier: GPL-2.0-or-later
"""The consumer's answer (wire-format.md, section 6): the backup is done only if
the reader says that it has stored it."""

import os
import resource
import select
import socket
import subprocess
import time

import stream
from harness import (CLUSTER, Failure, QmpError, Skip, check, disk, equal,
                     pattern, read_for)

SIZE = 1 << 20
NOT_KNOWN = 'it is not known whether the reader has stored the backup'


def one_disk(t, size=SIZE):
    data = pattern(size)
    vm = t.machine(*disk('d0', t.raw('a', data)))
    return vm, data, vm.leftovers()


def start(vm, **arguments):
    """Start a backup that wants an answer; return our end as a socket and as a
    file"""
    ours, theirs = socket.socketpair()
    vm.qmp.getfd(theirs.fileno())
    theirs.close()
    vm.backup(answer=True, **arguments)
    return ours, ours.makefile('rb', 0)


def up_to_end(vm, data, **arguments):
    """The same, and read the whole stream"""
    sock, source = start(vm, **arguments)
    got = stream.Stream(source).read_all()
    equal(got.features, stream.ANSWER, 'features')
    check(got.device('d0').image == data, 'contents')
    return sock, got


def completing(vm):
    """QEMU waits, and everything else goes on"""
    time.sleep(0.2)
    equal(vm.status()['status'], 'completing', 'status')
    equal(vm.qmp.cmd('query-jobs'), [], 'jobs')
    begin = time.monotonic()
    vm.io('d0', 'write -P 7 0 64k')
    vm.qmp.cmd('stop')
    vm.qmp.cmd('cont')
    check(time.monotonic() - begin < 1, 'somebody waits for the answer')


def closed(sock):
    """QEMU has closed its end"""
    check(select.select([sock], [], [], 5)[0], 'QEMU keeps the socket')
    try:
        equal(sock.recv(1), b'', 'after END')
    except ConnectionResetError:
        pass        # it has not read all that we sent
    sock.close()


def healthy(vm, data, before):
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    vm.io('d0', 'write -P 7 0 64k')
    data[:CLUSTER] = b'\7' * CLUSTER
    sock, got = up_to_end(vm, data)
    sock.sendall(got.answer(stream.COMMITTED))
    vm.end('done')
    closed(sock)
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_committed(t):
    """[A4] The backup is done when the reader has said so, not before, and
    nothing waits for it meanwhile."""
    vm, data, before = one_disk(t)
    sock, got = up_to_end(vm, data, timeout=1)
    completing(vm)
    time.sleep(1.2)     # the limit for writes is not that for the answer
    equal(vm.status()['status'], 'completing', 'status')
    sock.sendall(got.answer(stream.COMMITTED, b'as test.vma'))
    vm.end('done')
    closed(sock)
    equal([e['data']['status'] for e in vm.qmp.events
           if e['event'] == 'BACKUP_STATUS_CHANGE'],
          ['active', 'completing', 'done'], 'states')
    healthy(vm, data, before)


def test_in_pieces(t):
    """An answer that comes byte by byte, with a message of 1024 bytes."""
    vm, data, before = one_disk(t)
    sock, got = up_to_end(vm, data)
    answer = got.answer(stream.COMMITTED, ('\u00e4' * 512).encode())
    for i in range(20):
        sock.sendall(answer[i:i + 1])
        time.sleep(0.01)
    sock.sendall(answer[20:-1])
    completing(vm)
    sock.sendall(answer[-1:])
    vm.end('done')
    data[:CLUSTER] = b'\7' * CLUSTER
    healthy(vm, data, before)


def test_failed(t):
    """A reader that has failed at the end: error, with its message."""
    vm, data, before = one_disk(t)
    sock, got = up_to_end(vm, data)
    sock.sendall(got.answer(stream.FAILED, b'cannot sync: no space'))
    equal(vm.end('error')['errmsg'], 'the reader of the backup stream has '
          'failed: cannot sync: no space', 'errmsg')
    closed(sock)
    healthy(vm, data, before)


def test_failed_early(t):
    """[A2] A reader that fails in the middle says why, and closes: QEMU
    reports that, not the broken connection."""
    vm, data, before = one_disk(t, 16 << 20)
    sock, source = start(vm)
    got = stream.Stream(source)
    got.read_preamble()
    got.read_record()
    sock.sendall(got.answer(stream.FAILED, b'no space left'))
    source.close()
    sock.close()
    equal(vm.end('error')['errmsg'], 'the reader of the backup stream has '
          'failed: no space left', 'errmsg')
    healthy(vm, data, before)


def test_gone_early(t):
    """A reader that dies in the middle without an answer: the error is that of
    the connection."""
    vm, data, before = one_disk(t, 16 << 20)
    sock, source = start(vm)
    read_for(source, 100000)
    source.close()
    sock.close()
    check('cannot write the backup stream' in vm.end('error')['errmsg'],
          vm.status()['errmsg'])
    healthy(vm, data, before)


def test_shut_down_and_silent(t):
    """A reader that reads no more, but keeps the connection, does not hold up
    the end of the backup."""
    vm, data, before = one_disk(t)
    sock, theirs = socket.socketpair()
    vm.qmp.getfd(theirs.fileno())
    theirs.close()
    sock.shutdown(socket.SHUT_RD)
    vm.backup(answer=True, timeout=0)
    info = vm.end('error', 3)
    check('cannot write the backup stream' in info['errmsg'], info['errmsg'])
    sock.close()
    healthy(vm, data, before)


def test_no_answer(t):
    """[A5] End of file instead of the answer, or in it: not known."""
    vm, data, before = one_disk(t)
    for size in (0, 1, 16, 19, 22):
        sock, got = up_to_end(vm, data)
        sock.sendall(got.answer(stream.COMMITTED, b'abc')[:size])
        sock.shutdown(socket.SHUT_WR)
        equal(vm.end('error')['errmsg'], 'the reader has closed the '
              'connection without an answer; ' + NOT_KNOWN, 'errmsg')
        closed(sock)
    healthy(vm, data, before)


def test_damaged(t):
    """[A5] A damaged answer is none."""
    vm, data, before = one_disk(t)

    def flip(i):
        return lambda a: a[:i] + bytes([a[i] ^ 1]) + a[i + 1:]

    for damage in (flip(0), flip(3), flip(4), flip(7), flip(8), flip(12),
                   flip(16), flip(-1 + 23)):
        sock, got = up_to_end(vm, data)
        sock.sendall(damage(got.answer(stream.COMMITTED, b'abc')))
        equal(vm.end('error')['errmsg'],
              'the answer of the reader is damaged; ' + NOT_KNOWN, 'errmsg')
        closed(sock)
    for message in (b'\xff', b'a\nb', b'\0', b'\x7f'):
        sock, got = up_to_end(vm, data)
        sock.sendall(got.answer(stream.COMMITTED, message))
        check('is damaged' in vm.end('error')['errmsg'], 'errmsg')
        closed(sock)
    healthy(vm, data, before)


def test_other_uuid(t):
    """The answer to another backup is none."""
    vm, data, before = one_disk(t)
    sock, got = up_to_end(vm, data)
    got.uuid = bytes(16)
    sock.sendall(got.answer(stream.COMMITTED))
    check('is damaged' in vm.end('error')['errmsg'], 'errmsg')
    sock.close()
    healthy(vm, data, before)


def test_timeout(t):
    """An answer that does not come is waited for no longer than asked for."""
    vm, data, before = one_disk(t)
    begin = time.monotonic()
    sock, _got = up_to_end(vm, data, answer_timeout=1)
    equal(vm.end('error')['errmsg'], 'the reader of the backup stream did not '
          'answer within 1 seconds; ' + NOT_KNOWN, 'errmsg')
    check(0.9 < time.monotonic() - begin < 3, 'it took too long')
    closed(sock)
    healthy(vm, data, before)


def test_cancel(t):
    """A backup that waits for the answer can be cancelled at once."""
    vm, data, before = one_disk(t)
    sock, _got = up_to_end(vm, data, answer_timeout=0)
    completing(vm)
    begin = time.monotonic()
    vm.qmp.wait(vm.qmp.send('backup-cancel', oob=True))
    equal(vm.end('cancelled')['errmsg'],
          'the backup was cancelled; ' + NOT_KNOWN, 'errmsg')
    check(time.monotonic() - begin < 0.5, 'it took too long')
    closed(sock)
    data[:CLUSTER] = b'\7' * CLUSTER
    healthy(vm, data, before)


def test_quit(t):
    """QEMU can be ended while it waits for the answer."""
    vm, data, _before = one_disk(t)
    sock, _got = up_to_end(vm, data)
    vm.qmp.send('quit')
    equal(vm.process.wait(10), 0, 'exit code')
    sock.close()


def test_needs_socket(t):
    """A pipe cannot carry an answer, and a limit needs one to wait for."""
    vm, data, before = one_disk(t)
    for text, arguments in (
            ('a socket is required', {'answer': True}),
            ("Parameter 'answer-timeout' requires 'answer'",
             {'answer_timeout': 5}),
            ("Parameter 'answer-timeout' must be between 0 and 86400",
             {'answer': True, 'answer_timeout': -1}),
            ("Parameter 'answer-timeout' must be between 0 and 86400",
             {'answer': True, 'answer_timeout': 86401})):
        try:
            vm.to_pipe(**arguments)
        except QmpError as err:
            check(text in str(err), str(err))
        else:
            raise Failure('no error: ' + text)
        equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
    healthy(vm, data, before)


def vma_sink(t, vm, output, size_limit=resource.RLIM_INFINITY):
    program = os.environ.get('VMA_SINK') or os.path.join(
        os.path.dirname(os.path.abspath(__file__)), '../../build/vma-sink')
    if not os.access(program, os.X_OK):
        raise Skip('vma-sink is not built')
    ours, theirs = socket.socketpair()
    vm.qmp.getfd(theirs.fileno())
    theirs.close()
    sink = subprocess.Popen(
        [program, '-o', output], stdin=ours, stderr=subprocess.DEVNULL,
        # SIGXFSZ is ignored here, so that a write fails instead
        restore_signals=False, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (size_limit, size_limit)))
    t.cleanup(sink.kill)
    ours.close()
    vm.backup(answer=True)
    return sink


def test_vma_sink(t):
    """With vma-sink: done means that the archive is there."""
    vm, _data, before = one_disk(t, 16 << 20)
    path = t.path('out.vma')
    sink = vma_sink(t, vm, path)
    vm.end('done')
    check(os.path.getsize(path) > 16 << 20, 'the archive')
    equal(sink.wait(10), 0, 'exit code')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')


def test_vma_sink_fails(t):
    """With a vma-sink that cannot write on: error, with its reason."""
    vm, _data, before = one_disk(t, 16 << 20)
    path = t.path('out.vma')
    sink = vma_sink(t, vm, path, size_limit=4 << 20)
    info = vm.end('error')
    check('File too large' in info['errmsg'], info['errmsg'])
    check(sink.wait(10) != 0, 'exit code')
    check(not os.path.exists(path), 'there is an archive')
    equal(vm.leftovers(), before, 'nodes, jobs, descriptors')
