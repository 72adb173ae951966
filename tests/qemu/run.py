#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests of the patched QEMU and report in TAP.

usage: run.py [-l] [-k] [--fleecing] BUILD [NAME...]

BUILD is QEMU's build folder, such as qemu-patch/build-qemu.sh prints.  A NAME
selects the tests whose name contains it.  With --fleecing, every backup that a
test starts itself has an image between each disk and the stream.
"""

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import harness      # noqa: E402  pylint: disable=wrong-import-position

SECONDS = 60        # for one test


class TimeUp(BaseException):
    pass


def on_alarm(_signum, _frame):
    raise TimeUp()


def find_tests(words):
    tests = []
    for file in sorted(os.listdir(HERE)):
        if file.startswith('test_') and file.endswith('.py'):
            module = importlib.import_module(file[:-3])
            for name, function in vars(module).items():
                if name.startswith('test_'):
                    title = '%s/%s' % (file[5:-3],
                                       name[5:].replace('_', '-'))
                    if not words or any(word in title for word in words):
                        tests.append((title, function))
    return tests


def run(title, function, args):
    """Returns (ok, comment)"""
    folder = tempfile.mkdtemp(prefix='backup-test-')
    test = harness.Test(os.path.abspath(args.build), folder, args.fleecing)
    ok, comment = False, ''
    signal.alarm(SECONDS)
    try:
        function(test)
        ok = True
    except harness.Skip as reason:
        ok, comment = True, ' # SKIP %s' % reason
    except TimeUp:
        print('# %s: not finished after %d seconds' % (title, SECONDS))
    except Exception:   # pylint: disable=broad-except
        for line in traceback.format_exc().splitlines():
            print('# ' + line)
    finally:
        signal.alarm(0)
        test.finish()
    if not ok:
        try:
            with open(test.path('log'), errors='replace') as log:
                for line in log:
                    print('# log: ' + line.rstrip())
        except FileNotFoundError:
            pass
    if args.keep and not ok:
        print('# kept: ' + folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return ok, comment


def run_tests(tests, args):
    """Runs (title, function) by turns, and returns the exit code"""
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Also in the background of a shell, which has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout.reconfigure(line_buffering=True)
    failures = 0
    print('TAP version 13')
    print('1..%d' % len(tests))
    for number, (title, function) in enumerate(tests, 1):
        start = time.monotonic()
        ok, comment = run(title, function, args)
        failures += not ok
        print('%s %d - %s%s' % ('ok' if ok else 'not ok', number, title,
                                comment))
        if time.monotonic() - start > 5:
            print('# took %.1f s' % (time.monotonic() - start))
    return 1 if failures or not tests else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('-l', '--list', action='store_true',
                        help='print the names and the claims of the tests')
    parser.add_argument('-k', '--keep', action='store_true',
                        help='keep the folder of a test that fails')
    parser.add_argument('--fleecing', action='store_true',
                        help='have a local image between disks and stream')
    parser.add_argument('build', metavar='BUILD')
    parser.add_argument('names', metavar='NAME', nargs='*')
    args = parser.parse_args()

    tests = find_tests(args.names)
    if args.list:
        for title, function in tests:
            print('%s: %s' % (title, ' '.join(function.__doc__.split())))
        return 0

    return run_tests(tests, args)


if __name__ == '__main__':
    sys.exit(main())
