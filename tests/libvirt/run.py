#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the tests of vma-dump --libvirt and report in TAP.

usage: run.py [-l] [-k] [NAME...]

With a libvirtd of its own, Debian's or whatever is installed: as root the
system's one, in namespaces that hide the real one and end with the tests; else
the user's, with folders of its own.  A NAME selects the tests whose name
contains it.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.append(os.path.join(HERE, '../qemu'))

# pylint: disable=wrong-import-position
import host                     # noqa: E402
# pylint: enable=wrong-import-position

UNSHARE = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child',
           '--mount-proc']
# The first process of a namespace buries the dead of all others.
INIT = '''
for folder in /run/libvirt /var/lib/libvirt /var/cache/libvirt \
        /var/log/libvirt /etc/libvirt; do
    mkdir -p $folder && mount -t tmpfs -o mode=755 tmpfs $folder || exit
done
# No test needs it, and there are machines on which it hangs.
: > /run/libvirt/none && chmod 0 /run/libvirt/none
[ ! -e /dev/kvm ] || mount --bind /run/libvirt/none /dev/kvm || exit
env --default-signal=INT "$@" &
wait $!
'''


def load_runner():
    spec = importlib.util.spec_from_file_location(
        'runner', os.path.join(HERE, '../qemu/run.py'))
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    runner.SECONDS = 240
    return runner


def find_tests(words):
    module = importlib.import_module('test_libvirt')
    tests = [(name[5:].replace('_', '-'), function)
             for name, function in vars(module).items()
             if name.startswith('test_')]
    return [test for test in tests
            if not words or any(word in test[0] for word in words)]


def skip_all(reason):
    print('TAP version 13\n1..1\nok 1 - all # SKIP ' + reason)
    return 0


def enter_namespaces():
    """Run this again in there; returns only why not"""
    probe = subprocess.run([*UNSHARE, 'true'], stderr=subprocess.PIPE,
                           check=False)
    if probe.returncode:
        return probe.stderr.decode().strip()
    os.environ['LIBVIRT_TEST_INSIDE'] = 'yes'
    os.execvp('unshare', [*UNSHARE, 'sh', '-c', INIT, 'sh', sys.executable,
                          *sys.argv])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('-l', '--list', action='store_true',
                        help='print the names and the claims of the tests')
    parser.add_argument('-k', '--keep', action='store_true',
                        help='keep the folder of a test that fails')
    parser.add_argument('names', metavar='NAME', nargs='*')
    args = parser.parse_args()

    tests = find_tests(args.names)
    if args.list:
        for title, function in tests:
            print('%s: %s' % (title, ' '.join(function.__doc__.split())))
        return 0
    sys.stdout.reconfigure(line_buffering=True)
    for program in ('libvirtd', 'virsh', 'qemu-system-x86_64'):
        if not shutil.which(program):
            return skip_all('there is no %s (tests/setup.sh libvirt)' % program)
    if host.dump_has_no_libvirt():
        return skip_all('vma-dump was built without libvirt')
    if os.geteuid() == 0 and 'LIBVIRT_TEST_INSIDE' not in os.environ:
        return skip_all('no namespaces: ' + enter_namespaces())
    args.build = os.path.dirname(shutil.which('qemu-system-x86_64'))
    args.fleecing = False
    with host.Libvirtd() as libvirtd:
        return load_runner().run_tests(
            [(title, lambda t, function=function: function(t, libvirtd))
             for title, function in tests], args)


if __name__ == '__main__':
    sys.exit(main())
