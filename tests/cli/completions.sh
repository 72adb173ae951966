#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# bash and zsh complete commands, options, their values, and archives.
. "$(dirname "$0")/lib.sh"

PATH=$(dirname "$VMA_RESTORE"):$PATH
touch one.vma two.vma.zst three.txt
mkdir folder

# What bash offers for the last of the words.
offers() { # WORD...
    bash -O extglob -c '. "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        compopt() { :; }
        _vma "$1"
        printf "%s\n" "${COMPREPLY[@]}"' \
        bash "$ROOT/vma-sink/completions/vma.bash" "$@" | sort > offered
}
offered() { # WORD...
    printf '%s\n' "$@" | sort | diff - offered > difference ||
        fail "offered (>): $(cat difference)"
}
offers vma-restore ve
offered verify
offers vma-restore extract ''
offered folder one.vma two.vma.zst
offers vma-restore extract --sal
offered --salvage
offers vma-restore list --
offered --help --json --no-confine --version
offers vma-sink --buf
offered --buffer=
offers vma-sink --progress = j
offered json
offers vma-sink --compress = none
offered none
offers vma-sink --spool = ''
offered folder
offers vma-dump -U t
offered three.txt two.vma.zst
offers vma-dump --fs
offered --fsfreeze=

command -v zsh > /dev/null || skip "no zsh"
# A terminal's worth of zsh: it lists what the keys Tab and ^D ask for.
mkdir functions
cp "$ROOT/vma-sink/completions/_vma" functions
cat > zsh.py <<'END'
import os
import pty
import re
import select
import sys

pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", ZDOTDIR=os.getcwd(), COLUMNS="80")
    os.execvp("zsh", ["zsh", "-f", "-i"])


def until(mark):
    text = b""
    while mark not in text:
        if not select.select([fd], [], [], 60)[0]:
            sys.exit(f"no answer: {text}")
        text += os.read(fd, 65536)
    return text.decode()


# (A terminal shows what is typed, so that must not be the mark itself.)
for line in (b"stty -echo; fpath=($PWD/functions $fpath)",
             b"autoload -U compinit; compinit -u -D",
             b'show() { print -r -- "<<<$BUFFER>>>" }',
             b"zle -N show; bindkey '^X' show; print RE''ADY"):
    os.write(fd, line + b"\n")
until(b"READY")
os.write(fd, sys.argv[1].encode() + b"\t\x18")
print(re.findall(r"<<<(.*)>>>\r\n", until(b">>>\r\n"))[-1])
END
completes() { # LINE COMPLETED
    local line
    line=$(python3 zsh.py "$1") || fail "zsh: $line"
    [ "$line" = "$2" ] || fail "zsh makes of '$1' '$line', not '$2'"
}
completes 'vma-restore ver' 'vma-restore verify '
completes 'vma-restore extract --sal' 'vma-restore extract --salvage '
completes 'vma-restore list tw' 'vma-restore list two.vma.zst '
completes 'vma-sink --buf' 'vma-sink --buffer='
completes 'vma-sink --progress=j' 'vma-sink --progress=json '
