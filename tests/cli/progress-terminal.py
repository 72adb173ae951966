#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a terminal shows of a pipeline's progress, by an emulator of one: no bar is
wider than it, also after it became narrower; at the end only the last words are
there; they are in ASCII in any locale, without colours; a terminal that can't write
over a line, and a log, get no bar.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios

try:
    import pyte
except ImportError:
    print('no terminal emulator (python3-pyte)')
    sys.exit(77)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
BUILD = os.environ.get('B', ROOT + '/build')
DUMP, SINK = (os.environ.get('VMA_' + name.upper(), f'{BUILD}/vma-{name}')
              for name in ('dump', 'sink'))
PIPELINE = f'{DUMP} d=disk | {SINK} -f --rate 5M -o x.vma'
ROWS = 30
LAST_WORDS = (rb'vma-dump: 6.0 MiB in [0-9.]+ s \([0-9.]+ [KM]iB/s\), 1.0 MiB of '
              rb'it zeroes',
              rb'x.vma: 1 disk, 6.0 MiB \(17% zero\), stored in 5.0 MiB, '
              rb'[0-9.]+ s, [0-9.]+ [KM]iB/s')


class Terminal:
    """Runs a command, and keeps what it wrote as well as what there is to see."""

    def __init__(self, columns, command, **environment):
        self.screen = pyte.Screen(columns, ROWS)
        self.stream = pyte.ByteStream(self.screen)
        self.written = b''
        ours, theirs = pty.openpty()
        self.fd = ours
        self.set_size(theirs, columns)
        self.child = subprocess.Popen(
            ['bash', '-c', command], stdin=subprocess.DEVNULL, stdout=theirs,
            stderr=theirs, start_new_session=True,
            env={**os.environ, 'TERM': 'xterm', **environment})
        os.close(theirs)

    @staticmethod
    def set_size(fd, columns):
        fcntl.ioctl(fd, termios.TIOCSWINSZ,
                    struct.pack('HHHH', ROWS, columns, 0, 0))

    def read(self, seconds):
        """What was written within so long; None: all who could have ended."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return b''
        try:
            text = os.read(self.fd, 65536)
        except OSError:
            return None
        self.written += text
        self.stream.feed(text)
        return text

    def resize(self, columns):
        """While the programs hold still, so no bar is on its way."""
        os.killpg(self.child.pid, signal.SIGSTOP)
        while self.read(0.3):
            pass
        self.set_size(self.fd, columns)
        self.screen.resize(ROWS, columns)
        os.killpg(self.child.pid, signal.SIGCONT)

    def until(self, mark):
        while mark not in self.written:
            assert self.read(60), self.written
        return self

    def finish(self):
        while self.read(60) is not None:
            pass
        assert self.child.wait() == 0, self.written
        os.close(self.fd)
        return self

    def lines(self):
        return [line.rstrip() for line in self.screen.display if line.strip()]


def bars_and_messages(written):
    """A message ends in a new line, and a bar does not."""
    bars, messages = [], []
    for line in written.replace(b'\r\n', b'\n').split(b'\n'):
        *before, last = line.split(b'\r')
        bars += [text.rstrip() for text in before if text.strip()]
        assert all(len(text) < 1000 for text in before), before
        messages.append(last)
    assert messages.pop() == b'', written
    return bars, messages


def check_end(terminal, columns, last_words=LAST_WORDS):
    """Nothing but the messages, as a terminal breaks them."""
    bars, messages = bars_and_messages(terminal.written)
    assert len(messages) == len(last_words), messages
    for words in last_words:
        assert any(re.fullmatch(words, m) for m in messages), messages
    wanted = []
    for message in messages:
        text = message.decode('ascii')
        wanted += [text[i:i + columns].rstrip()
                   for i in range(0, len(text), columns)]
    assert terminal.lines() == wanted, (terminal.lines(), wanted)
    assert b'\x1b' not in terminal.written, 'no escape sequence is needed'
    return bars


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open('disk', 'wb') as f:
        f.write(os.urandom(5 << 20))
        f.truncate(6 << 20)

    for columns in 200, 80, 40, 20, 10:
        term = Terminal(columns, PIPELINE).finish()
        found = check_end(term, columns)
        assert any(b'%' in bar for bar in found), (columns, term.written)
        for text in re.split(b'[\r\n]', term.written):
            assert len(text) < columns or text in b'\n'.join(
                bars_and_messages(term.written)[1]), (columns, text)

    # What was there is cleared, and what comes is narrower.
    term = Terminal(80, PIPELINE).until(b' left')
    assert re.match(r'\[#*\.+\] +\d+%  .* left$', term.lines()[0]), term.lines()
    term.resize(30)
    at = len(term.written)
    term.finish()
    check_end(term, 30)
    for bar in bars_and_messages(term.written[at:])[0]:
        assert len(bar) < 30, bar

    # Neither colours nor a locale make a difference.
    for environment in ({'NO_COLOR': '1'}, {'LC_ALL': 'C'},
                        {'LC_ALL': 'C.UTF-8'}):
        check_end(Terminal(80, PIPELINE, **environment).finish(), 80)

    # Without a bar: two lines, and no control character but their ends.
    term = Terminal(80, PIPELINE, TERM='dumb').finish()
    assert not check_end(term, 80), term.written
    log = subprocess.run(['bash', '-c', PIPELINE], stdin=subprocess.DEVNULL,
                         capture_output=True, check=True).stderr
    assert len(log.splitlines()) == 2, log
    assert all(c >= 0x20 or c == 0x0a for c in log), log

    # What is started from here has its last words above ours, not in the bar.
    command = f"{DUMP} d=disk --to '{SINK} -f --rate 5M -o x.vma'"
    committed = rb'vma-dump: committed: the reader has stored the backup'
    for columns in 80, 20:
        found = check_end(Terminal(columns, command).finish(), columns,
                          (*LAST_WORDS, committed))
        assert any(b'completing' in bar for bar in found), found
    term = Terminal(80, f"{DUMP} d=disk --to \"sh -c 'exec >&2; printf one; "
                    "sleep 1; printf two; exit 3'\" || true").finish()
    lines = term.lines()
    assert lines[0] == 'onetwo', lines
    assert lines[1].startswith('vma-dump: ') and len(lines) <= 3, lines

    # The reason of a failure stands alone as well.
    term = Terminal(80, f'{DUMP} d=disk | {SINK} --rate 5M -o no/x.vma || true')
    term.finish()
    text = '\n'.join(term.lines())
    assert "vma-sink: " in text and '%' not in text, term.lines()
    assert not os.path.exists('no')
