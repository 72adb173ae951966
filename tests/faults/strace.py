# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program does to files, as strace sees it: calls, and nothing about what
they mean.
"""

import re
import subprocess

CALLS = ('open,openat,creat,close,dup,dup2,dup3,fcntl,write,writev,pwrite64,'
         'pwritev,pwritev2,lseek,ftruncate,truncate,fallocate,'
         'copy_file_range,sendfile,splice,fsync,fdatasync,syncfs,sync,'
         'rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,'
         'unlinkat,rmdir,mkdir,mkdirat,chdir,fchdir,exit_group')

LINE = re.compile(r'(\d+) +(\w+)\((.*)\) += (-?\d+|\?)')
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Call:
    """ARGUMENTS are as strace prints them; STRINGS those that are strings"""

    def __init__(self, name, text, result):
        self.name = name
        self.strings = [bytes.fromhex(s.replace('\\x', ''))
                        for s in STRING.findall(text)]
        self.arguments = STRING.sub('""', text).split(', ')
        self.result = result

    def number(self, index):
        return int(self.arguments[index], 0)


def run(argv, log, **kwargs):
    """Runs a program, returns what subprocess.run() does"""
    return subprocess.run(['strace', '-f', '-xx', '-s', '1000000000', '-o', log,
                           '-e', 'signal=none', '-e', 'trace=' + CALLS, *argv],
                          **kwargs)


def works():
    try:
        return subprocess.run(['strace', '-o', '/dev/null', 'true'],
                              stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False


def calls(log):
    """Those that succeeded, in the order in which they ended"""
    begun = {}
    with open(log, errors='replace') as lines:
        for line in lines:
            line = line.rstrip('\n')
            pid, _, rest = line.partition(' ')
            rest = rest.strip()
            if rest.endswith('<unfinished ...>'):
                begun[pid] = rest[:-len('<unfinished ...>')].rstrip()
                continue
            if rest.startswith('<... '):
                rest = begun.pop(pid) + rest.partition(' resumed>')[2]
            match = LINE.match(pid + ' ' + rest)
            if match and not match[4].startswith('-'):
                yield Call(match[2], match[3],
                           0 if match[4] == '?' else int(match[4]))
