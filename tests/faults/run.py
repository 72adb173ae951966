#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever dies, nothing lies: injects faults, counts how they end.

usage: run.py [-n COUNT] [-s SEED] [NAME...]

NAME is one of power, errors, kills, chain; all of them by default.  COUNT is for
how many faults each kind of those that are random gets.  Speaks TAP, and prints
a table at the end, that of tests/README.md; Ctrl-C ends it early, with what was
counted.  B is the build folder.
"""

import argparse
import importlib
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import common   # noqa: E402
import tally    # noqa: E402

NAMES = ('power', 'errors', 'kills', 'chain')


def missing(names):
    """What is not built of what they need: without the shim nothing fails"""
    needed = [common.DUMP, common.SINK, common.RESTORE]
    if set(names) - {'chain'}:
        needed.append(common.SHIM)
    return [path for path in needed if not os.path.exists(path)]


def run(name, args):
    """Returns the Tally of a module, and whether that is all of it"""
    result = tally.Tally()
    try:
        importlib.import_module(name).test(result, args.count, args.seed)
    except KeyboardInterrupt:
        return result, False
    except Exception:   # pylint: disable=broad-except
        result.bad(name, 'lie', traceback.format_exc())
    return result, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('-n', '--count', type=int, default=10)
    parser.add_argument('-s', '--seed', type=int, default=1)
    parser.add_argument('names', metavar='NAME', nargs='*', default=NAMES)
    args = parser.parse_args()
    if missing(args.names):
        parser.error('not built: ' + ' '.join(missing(args.names)))
    sys.stdout.reconfigure(line_buffering=True)

    total = tally.Tally()
    number = 0
    print('TAP version 13')
    for name in args.names:
        start = time.monotonic()
        result, complete = run(name, args)
        for kind in result.counts:
            number += 1
            failures = [text for at, text in result.failures if at == kind]
            for text in failures[:5]:
                print('# ' + text.rstrip().replace('\n', '\n# '))
            print('%s %d - %s (%d faults)' % (
                'not ok' if failures else 'ok', number, kind,
                result.tried(kind)))
        total.add(result)
        for kind, reason in result.skipped:
            number += 1
            print('ok %d - %s # SKIP %s' % (number, kind, reason))
        print('# %s took %.0f s' % (name, time.monotonic() - start))
        if not complete:
            print('Bail out! interrupted; until then:')
            break
    print('1..%d' % number)
    print('\n'.join('# ' + line for line in total.table().split('\n')))
    return 1 if total.failures or not number or not complete else 0


if __name__ == '__main__':
    sys.exit(main())
