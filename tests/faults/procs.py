# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that are to be killed: in a row, at a random moment."""

import os
import signal
import subprocess
import time

PATIENCE = 60       # seconds, until something hangs for certain


class Row:
    """Processes that work together.  Each one is known by a name."""

    def __init__(self, folder):
        self.folder = folder        # in the command line of all of them
        self.processes = {}

    def start(self, name, argv, **kwargs):
        # What they say is read when it is over; it is never much.
        log = open(os.path.join(self.folder, name + '.err'), 'wb')
        kwargs.setdefault('stdin', subprocess.DEVNULL)
        kwargs.setdefault('stdout', log)
        with log:
            process = subprocess.Popen(argv, stderr=log, **kwargs)
        self.processes[name] = process
        return process

    def said(self, name):
        with open(os.path.join(self.folder, name + '.err'), 'rb') as log:
            return log.read().decode('utf-8', 'replace')

    def said_by_all(self):
        return ''.join(self.said(name) for name in self.processes)

    def wait(self, *names):
        """Exit codes by name, of all that were started or of some"""
        deadline = time.monotonic() + PATIENCE
        codes = {}
        for name in names or self.processes:
            process = self.processes[name]
            try:
                codes[name] = process.wait(deadline - time.monotonic())
            except subprocess.TimeoutExpired:
                self.end()
                raise RuntimeError('%s hangs: %s' % (name, self.said(name))
                                   ) from None
        return codes

    def wait_for_orphans(self, *others):
        """Also those are over that these have started; OTHERS may go on"""
        deadline = time.monotonic() + PATIENCE
        own = {process.pid for process in self.processes.values()} | {*others}
        while True:
            left = [pid for pid, words in commands()
                    if self.folder in words and pid not in own]
            if not left:
                return
            if time.monotonic() > deadline:
                for pid in left:
                    kill(pid)
                raise RuntimeError('somebody hangs')
            time.sleep(0.005)

    def end(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def commands():
    """Yields id and command line of all processes"""
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open('/proc/%s/cmdline' % name, 'rb') as file:
                    yield int(name), os.fsdecode(file.read())
            except (FileNotFoundError, ProcessLookupError):
                pass


def descendants(pid):
    """Of a process, the youngest generation last"""
    found = []
    try:
        with open('/proc/%d/task/%d/children' % (pid, pid)) as file:
            children = [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return found
    for child in children:
        found.append(child)
        found += descendants(child)
    return found


def name_of(pid):
    try:
        with open('/proc/%d/comm' % pid) as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ''
