#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a guest's writes take, without a backup and during one by several
readers: a table of the distributions.

usage: latency.py BUILD FOLDER [SECONDS [ROUNDS]] > latency.dat

The disks and the client are those of soak.py, with FOLDER for the disks (a
local one).  Each round goes through all cases, SECONDS each, so that what else
this machine does hits all of them alike.  latency.sh has the graph
drawn.
"""

import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '../qemu')]

import harness      # noqa: E402  pylint: disable=wrong-import-position
import soak         # noqa: E402  pylint: disable=wrong-import-position
import writer       # noqa: E402  pylint: disable=wrong-import-position

RATE = 1000000
# name, method (None: no backup), reader, bytes per second, timeout
CASES = (
    ('no backup', None, None, None, 30),
    ('fast reader', 'direct', 'fast', None, 30),
    ('1 MB/s', 'direct', 'slow', RATE, 30),
    ('1 MB/s, fleecing', 'fleecing', 'slow', RATE, 30),
    ('stopped, timeout 2', 'direct', 'stops', None, 2),
    ('stopped, fleecing', 'fleecing', 'stops', None, 30),
)
PARTS = 0.5, 0.9, 0.99, 0.999


class Disks(soak.Daemon):
    """One writer at a time is enough; nothing is compared"""

    writers = 1
    blocks = 8192               # 32 MiB on each disk
    size = 2 * writers * blocks * writer.BLOCK

    def _run(self):
        pass

    def measure(self, phase, case, seconds):
        _name, method, kind, rate, timeout = case
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not method:
                self.phase(phase)
                time.sleep(end - time.monotonic())
                break
            fd, target = self.pipe()
            arguments = {'backup_file': target, 'devlist': self.devlist,
                         'timeout': timeout}
            if method == 'fleecing':
                arguments['fleecing'] = [
                    {'device': device, 'node': image} for device, image in
                    zip(self.devlist.split(','), self.images)]
            self.phase(phase)
            self.qemu.backup(**arguments)
            # a process, for a thread would be in the way of ours
            source = soak.Source(fd, kind, rate, 0 if kind == 'stops' else None)
            pid = os.fork()
            if not pid:
                while source.read(65536):
                    pass
                os._exit(0)
            source.close()
            while (time.monotonic() < end and self.qemu.status()['status']
                   not in ('done', 'error')):
                time.sleep(0.05)
            self.phase(soak.IDLE)
            self.qemu.qmp.cmd('backup-cancel')
            while (self.qemu.status()['status'] not in
                   ('done', 'error', 'cancelled')):
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.phase(soak.IDLE)
        self.healthy()


def main():
    build, parent = sys.argv[1:3]
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    folder = tempfile.mkdtemp(prefix='latency-', dir=parent)
    test = harness.Test(os.path.abspath(build), folder)
    p99 = [[] for _ in CASES]
    totals = [[[0] * writer.BUCKETS, 0.0] for _ in CASES]
    try:
        for number in range(rounds):
            disks = Disks(test, 0, RATE)
            disks.life = number     # another sequence
            disks.start()
            for phase, case in enumerate(CASES):
                disks.measure(phase, case, seconds)
            for phase in range(len(CASES)):
                counts, longest = disks.controls[0].histogram(phase)
                p99[phase].append(soak.quantile(counts, 0.99))
                totals[phase][0] = [a + b for a, b in
                                    zip(totals[phase][0], counts)]
                totals[phase][1] = max(totals[phase][1], longest)
            disks.controls[0].set('stop', 1)
            disks.processes[0].wait()
            disks.processes[0].stdout.close()
            disks.qemu.kill()
    finally:
        test.finish()
        shutil.rmtree(folder, ignore_errors=True)

    print('# Writes of 4 to 128 KiB at random places of two disks of %d MiB, '
          'one at a time, through NBD;\n# %d rounds of %g s for each case; '
          'times in ms\n#' % (Disks.size >> 21, rounds, seconds))
    print('# %-20s %9s' % ('', 'writes') + ''.join(
        ' %9s' % ('p%g' % (100 * part)) for part in PARTS) +
          '   longest   p99 of rounds, and its median against no backup')
    for case, (counts, longest), rounds_p99 in zip(CASES, totals, p99):
        ratio = statistics.median(
            mine / none for mine, none in zip(rounds_p99, p99[0]) if none)
        print('# %-20s %9d' % (case[0], sum(counts)) + ''.join(
            ' %9.3f' % soak.quantile(counts, part) for part in PARTS) +
              ' %9.1f   %s: %.2f' % (1e3 * longest, ' '.join(
                  '%.2f' % value for value in rounds_p99), ratio))
    for case, (counts, _longest) in zip(CASES, totals):
        # the part of all writes that takes longer than so many ms
        print('\n\n"%s"' % case[0])
        left = total = sum(counts)
        for number, count in enumerate(counts):
            if count:
                print('%.4f %.3g' % (1e3 * writer.bucket_seconds(number),
                                     left / total))
                left -= count
    return 0


if __name__ == '__main__':
    sys.exit(main())
