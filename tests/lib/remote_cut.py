#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Backs up the file "disk" over ssh, again and again, through a relay that cuts the
connection once it has passed on so many bytes; see cli/remote-cut.sh.

usage: remote_cut.py COUNT SEED

The moments are counted in bytes, not in seconds.  Where a side is to notice that
nothing comes any more, it is told to wait for a second or two, and the verdict
is the same however late it is.
"""
import os
import random
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

UP, DOWN = 0, 1
# How long the host may take until it has cleaned up; far more than it needs.
SETTLE_SECONDS = 60
VERDICTS = {0: 'committed: the reader has stored the backup',
            1: 'not committed: ',
            5: 'it is not known whether the backup is stored'}


class Relay:
    """One connection, from a port of ours to the host's.

    After the byte CUT_AT in a direction it does what "how" says; nothing if that
    is None.  Once until() is true it closes both ends."""

    def __init__(self, how=None, direction=UP, cut_at=0, on_cut=None):
        self.how = how
        self.direction = direction
        self.cut_at = cut_at
        self.on_cut = on_cut
        self.until = lambda: False
        self.passed = [0, 0]
        self.was_cut = False
        self._over = False
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self):
        self._over = True
        self._thread.join()
        self._listener.close()

    def _readable(self, sockets):
        while not self._over and not self.until():
            ready = select.select(sockets, [], [], 0.05)[0]
            if ready:
                return ready
        return []

    def _run(self):
        if not self._readable([self._listener]):
            return
        near = self._listener.accept()[0]
        far = socket.create_connection(('127.0.0.1',
                                        int(os.environ['SSH_PORT'])))
        try:
            self._pass_on(near, far)
        except OSError:
            pass
        near.close()
        far.close()

    def _pass_on(self, near, far):
        ways = {near: (far, UP), far: (near, DOWN)}
        while ways:
            for source in self._readable(list(ways)):
                sink, direction = ways[source]
                data = source.recv(65536)
                left = self.cut_at - self.passed[direction]
                cut = (self.how and not self.was_cut and
                       direction == self.direction and len(data) >= left)
                if cut and self.how == 'lose-answer':
                    # Nothing of it, however it was put together.
                    self.was_cut = True
                    del ways[far]
                    cut = False
                elif cut:
                    data = data[:left]
                sink.sendall(data)
                self.passed[direction] += len(data)
                if cut:
                    self.was_cut = True
                    if not self._cut(source, sink, ways):
                        return
                elif not data:
                    sink.shutdown(socket.SHUT_WR)
                    del ways[source]
            if self._over or self.until():
                return

    def _cut(self, source, sink, ways):
        """False: it is closed."""
        if self.how == 'close':
            return False
        if self.how == 'reset':
            for sock in (source, sink):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack('ii', 1, 0))
            return False
        if self.how == 'half-close':
            # The other direction goes on.
            sink.shutdown(socket.SHUT_WR)
            del ways[source]
        elif self.how == 'stall-one':
            # As where packets of one direction are lost.
            del ways[source]
        elif self.how == 'stall':
            ways.clear()
            self._readable([])
            while not self._over:
                time.sleep(0.05)
            return False
        else:
            self.on_cut()
        return True


def processes():
    """(pid, parent's pid, name) of each that has not ended"""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/stat' % pid, encoding='latin-1') as file:
                name, rest = file.read().split('(', 1)[1].rsplit(')', 1)
        except OSError:
            continue
        state, parent = rest.split()[:2]
        if state != 'Z':
            yield int(pid), int(parent), name


def children(parent):
    return [(pid, name) for pid, its, name in processes() if its == parent]


def sshd_processes():
    """Of any sshd.  Where one was killed, its child has another parent, and
    its name still, until it becomes the command."""
    return {pid for pid, _parent, name in processes()
            if name.startswith('sshd')}


def kill_sshd():
    """The processes of sshd that serve the connection, and not the command."""
    todo = children(int(os.environ['SSHD_PID']))
    while todo:
        pid, name = todo.pop()
        if name.startswith('sshd'):
            todo += children(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def kill_ssh(run):
    for pid, name in children(run.dump.pid) + children(os.getpid()):
        if name == 'ssh':
            os.kill(pid, signal.SIGKILL)


class Run:
    """With --to, or every third time by a pipe, of which ssh tells the end."""

    def __init__(self, number, relay):
        self.others = sshd_processes()
        self.pipe = number % 3 == 2
        # Of which processes are found that are this run's, and nobody else's.
        self.name = os.path.abspath('store/%d.vma%s' % (
            number, '.zst' if number % 3 else ''))
        self.code_file = self.name + '.code'
        self.relay = relay
        self.dump = None
        self.ssh = None
        self.message = ''

    def start(self):
        # The shell there says that vma-sink has ended, and how.
        far = ('cd %s; vma-sink --stall-timeout 2 -o %s; code=$?; '
               'echo $code > %s; exit $code' %
               (os.getcwd(), self.name, self.code_file))
        ssh = ['ssh', '-o', 'ConnectTimeout=10', '-o', 'ServerAliveInterval=1',
               '-o', 'ServerAliveCountMax=2', 'backuphost', far]
        env = dict(os.environ, SSH_PORT=str(self.relay.port))
        if not self.pipe:
            self.dump = subprocess.Popen(
                [os.environ['VMA_DUMP'], 'd=disk', '--to', shlex.join(ssh)],
                stderr=subprocess.PIPE, env=env)
            return
        self.dump = subprocess.Popen(
            [os.environ['VMA_DUMP'], 'd=disk'], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.ssh = subprocess.Popen(ssh, stdin=self.dump.stdout,
                                    stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, env=env)
        self.dump.stdout.close()

    def near(self):
        """vma-dump's verdict, or that of ssh's exit code in the same words."""
        if not self.pipe:
            self.message = self.dump.communicate()[1].decode()
            return self.dump.returncode
        self.ssh.wait()
        self.message = self.dump.stderr.read().decode()
        code = self.dump.wait()
        verdict = {0: 0, 1: 1, 2: 1, 3: 1, 4: 1}.get(self.ssh.returncode, 5)
        assert verdict != 0 or code == 0, (verdict, code, self.message)
        self.message += VERDICTS[verdict]
        return verdict

    def finish(self):
        """Returns vma-dump's exit code and that of vma-sink, None where it was
        never started."""
        near = self.near()
        self.relay.stop()
        # Only now the host has heard of it all.  What serves the connection ends
        # after it has started the command, and a command may outlive that.
        deadline = time.monotonic() + SETTLE_SECONDS
        while sshd_processes() - self.others or self.sink_runs():
            assert time.monotonic() < deadline, 'the host does not end'
            time.sleep(0.05)
        code = None
        if os.path.exists(self.code_file):
            with open(self.code_file, encoding='ascii') as file:
                code = int(file.read() or -1)
            os.unlink(self.code_file)
        return near, code

    def sink_runs(self):
        """The program or its shell."""
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open('/proc/%s/cmdline' % pid, 'rb') as file:
                    line = file.read()
            except OSError:
                continue
            if self.name.encode() in line and b'vma-dump' not in line:
                return True
        return False

    def check(self):
        near, far = self.finish()
        there = os.listdir('store')
        assert near in VERDICTS, (near, self.message)
        assert VERDICTS[near] in self.message, (near, self.message)
        assert all('partial' not in name for name in there), there
        stored = os.path.exists(self.name)
        assert stored == (far == 0), (stored, far, self.message)
        if near != 5:
            assert stored == (near == 0), (near, stored, self.message)
        if stored:
            self.check_archive()
        assert not os.listdir('store'), there
        return near, stored

    def check_archive(self):
        subprocess.run([os.environ['VMA_RESTORE'], 'extract', self.name,
                        'restored'], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(['cmp', 'disk', 'restored/disk-d.raw'], check=True)
        subprocess.run(['rm', '-r', 'restored', self.name], check=True)


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(seed)
    print('REMOTE_SEED=%d' % seed)

    # How many bytes there are, and that all is well through a relay.
    run = Run(0, Relay())
    run.start()
    assert run.check() == (0, True), run.message
    total = run.relay.passed
    print('bytes up, down:', total)

    # The one thing that nobody near can know.
    relay = Relay('lose-answer', UP, total[UP] - 4000)
    run = Run(0, relay)
    relay.until = lambda: os.path.exists(run.name)
    run.start()
    assert run.check() == (5, True), run.message

    ways = ['close', 'reset', 'half-close', 'kill-ssh', 'kill-sshd', 'stall',
            'stall-one']
    seen = {}
    for number in range(1, count + 1):
        how = ways[number % len(ways)]
        direction = rng.choice((UP, DOWN))
        # Half of them are near the end, where the answer is.
        last = rng.random() < 0.5
        cut_at = (max(total[direction] - rng.randrange(600), 1) if last
                  else rng.randrange(1, total[direction]))
        relay = Relay(how, direction, cut_at)
        run = Run(number, relay)
        relay.on_cut = kill_sshd if how == 'kill-sshd' else (
            lambda r=run: kill_ssh(r))
        place = '%s: %s after %d bytes %s' % (
            'pipe' if run.pipe else '--to', how, cut_at,
            'down' if direction else 'up')
        run.start()
        try:
            verdict = run.check()
        except AssertionError:
            print('failed:', place, run.message)
            raise
        seen[verdict] = seen.get(verdict, 0) + 1
        print('%s: exit code %d, %s' % (place, verdict[0],
                                       'stored' if verdict[1] else 'nothing'))
    print(seen)
    assert not count or (1, False) in seen, 'no cut has cut anything'


if __name__ == '__main__':
    main()
