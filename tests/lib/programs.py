# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs, for the tests of them: where they are, and how they end."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.environ.get('B', ROOT + '/build')
DUMP = os.environ.get('VMA_DUMP', B + '/vma-dump')
SINK = os.environ.get('VMA_SINK', B + '/vma-sink')
RESTORE = os.environ.get('VMA_RESTORE', B + '/vma-restore')

OK, FAILED, USAGE, DAMAGED, INCOMPLETE = range(5)


def restore(*arguments, data=b''):
    """vma-restore, which may fail, as subprocess.run() returns it"""
    return subprocess.run([RESTORE, *arguments], input=data, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60)


def output_of(*command, data=b''):
    """Of a program that must not fail"""
    return subprocess.run(command, input=data, check=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout


def store(stream, *options):
    """The bytes of an archive"""
    return output_of(SINK, '-o', '-', *options, data=stream)


def archive_of(images, *options):
    """The same of images, each NAME=PATH"""
    return store(output_of(DUMP, *images), *options)


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def flip(data, at, bit=0):
    """With one bit flipped"""
    data = bytearray(data)
    data[at] ^= 1 << bit
    return bytes(data)
