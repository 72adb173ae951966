#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A compressed archive that was cut is known to be, between frames as well.

Wherever it is cut, the seek table is gone.  Where it is cut between two frames,
which zstd takes for the end, the archive inside has no end mark, until only
what is not part of the archive is missing.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))
sys.dont_write_bytecode = True
import seekable  # noqa: E402
from programs import (INCOMPLETE, OK, archive_of, output_of,  # noqa: E402
                      restore)



def verify(data):
    """The exit code of vma-restore verify, behind zstd -dc."""
    return restore('verify', '-', data=output_of('zstd', '-dcq',
                                                 data=data)).returncode


def has_table(data):
    return data[-4:] == b'\xb1\xea\x92\x8f'


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open('image', 'wb') as image:
            image.truncate(20 << 20)
        data = archive_of(['disk=image'], '--compress=zstd', '--frame-size=1')
    frames = seekable.read_table(data)
    assert len(frames) == 9 and frames[-1].content_size == 0
    assert has_table(data) and verify(data) == 0
    assert not any(has_table(data[:cut]) for cut in range(len(data)))
    for frame in frames[1:]:
        code = verify(data[:frame.offset])
        if code != (OK if frame == frames[-1] else INCOMPLETE):
            sys.exit(f'cut after {frame.offset} bytes: exit code {code}')
    for cut in range(frames[2].offset + 1, frames[3].offset, 10):
        assert subprocess.run(['zstd', '-tq'], input=data[:cut], check=False,
                              stderr=subprocess.PIPE).returncode != 0


if __name__ == '__main__':
    main()
