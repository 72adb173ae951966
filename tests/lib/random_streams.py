# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams of random disks, orders and runs, and rounds of tests with them.

By the simple writer of the test vectors, whose module is "stream" here.
"""
import importlib.util
import os
import random
import subprocess
import sys
import tempfile


def load(path):
    """The module of a file whose name is none for "import"."""
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location('m', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stream = load(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                           '../data/make-stream-vectors.py'))


def random_disk(rng):
    """Bytes of a disk: data, zero blocks, zero clusters, any size."""
    size = 512 * rng.choice((0, 1, 127, 128, 129, rng.randrange(20000)))
    disk = bytearray(size)
    for _ in range(rng.randrange(12)):
        if size:
            start = rng.randrange(size)
            count = min(rng.choice((1, 512, 4096, 65536, 300000)),
                        size - start)
            disk[start:start + count] = rng.randbytes(count)
    return bytes(disk)


def random_runs(rng, disk):
    """Splits a disk into runs (zero, number, count), each cluster once."""
    clusters = -(-len(disk) // 65536)
    runs, number = [], 0
    while number < clusters:
        count = min(rng.choice((1, 1, 2, 7, 64)), clusters - number)
        part = disk[number * 65536:(number + count) * 65536]
        runs.append((not any(part) and rng.random() < 0.8, number, count))
        number += count
    return runs


def random_stream(rng):
    """Returns the stream's bytes and its {name: disk}."""
    ids = rng.sample(range(1, 255), rng.randrange(1, 5))
    disks = {i: random_disk(rng) for i in ids}
    hashed = rng.random() < 0.5
    out = [stream.preamble([stream.device(i, f'disk-{i}', len(d))
                            for i, d in disks.items()],
                           [stream.config('conf', rng.randbytes(9))],
                           features=int(hashed))]
    runs = [(i, *run) for i, d in disks.items() for run in random_runs(rng, d)]
    if rng.random() < 0.7:
        rng.shuffle(runs)
    data = {i: 0 for i in ids}
    zero = {i: 0 for i in ids}
    nbytes = 0
    for i, is_zero, number, count in runs:
        part = disks[i][number * 65536:(number + count) * 65536]
        if is_zero:
            out.append(stream.record(stream.ZERO, i, number, count))
            zero[i] += count
        else:
            out.append(stream.record(stream.DATA, i, number, count, part,
                                     hash_value=stream.xxh64(part)
                                     if hashed else 0))
            data[i] += count
            nbytes += len(part)
    out += [stream.device_end(i, data[i], zero[i]) for i in ids]
    out.append(stream.end(len(runs) + len(ids), sum(data.values()),
                          sum(zero.values()), nbytes))
    return b''.join(out), {f'disk-{i}': d for i, d in disks.items()}


def rounds(count, run_round):
    """Calls run_round(seed, folder) so often; a seed that fails is printed."""
    first = random.SystemRandom().randrange(1 << 32)
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                run_round(seed, folder)
            except (AssertionError, subprocess.CalledProcessError) as error:
                print(f'seed {seed}: {error!r}')
                print(getattr(error, 'stderr', None))
                raise
