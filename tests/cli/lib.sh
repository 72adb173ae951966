# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests of the programs: sourced first.  Gives a folder of its own, $T,
# which is the working folder and is removed at the end, the programs as
# $VMA_DUMP, $VMA_SINK and $VMA_RESTORE, and the functions below.
set -uo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
B=${B:-$ROOT/build}
VMA_DUMP=${VMA_DUMP:-$B/vma-dump}
VMA_SINK=${VMA_SINK:-$B/vma-sink}
VMA_RESTORE=${VMA_RESTORE:-$B/vma-restore}
# The sanitizers' own exit code must not look like one of ours.
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=halt_on_error=1
export ROOT B VMA_DUMP VMA_SINK VMA_RESTORE

T=$(mktemp -d)
cd "$T" || exit 1
cleanup() {
    # shellcheck disable=SC2046 # a list of process ids
    kill $(jobs -p) 2>/dev/null
    rm -rf "$T"
}
trap cleanup EXIT

fail() { # MESSAGE...
    echo "failed: $*" >&2
    exit 1
}

skip() { # REASON...
    echo "$*"
    exit 77
}

# Runs a command and fails unless its exit code is CODE.  Its standard error
# goes to the file "err" and is shown.
expect_exit() { # CODE COMMAND...
    local expected=$1 code
    shift
    "$@" 2> err
    code=$?
    cat err >&2
    [ "$code" = "$expected" ] || fail "exit code $code, not $expected: $*"
}

# Fails unless the last expect_exit's standard error has the words.
expect_message() { # WORDS
    grep -qF -- "$1" err || fail "no message with: $1"
}

expect_no_file() { # PATTERN...
    local name
    for name in "$@"; do
        ! [ -e "$name" ] || fail "left over: $name"
    done
}

# Waits until all is read of what was written to descriptor FD, a pipe.
until_read() { # FD
    python3 -c '
import fcntl, sys, termios, time
for _ in range(3000):
    if not any(fcntl.ioctl(int(sys.argv[1]), termios.FIONREAD, bytes(4))):
        sys.exit(0)
    time.sleep(0.01)
sys.exit(1)' "$1" || fail "it is not read"
}

# Sends SIGNAL to COMMAND while it waits for the rest of FILE, with BYTES of it read
# and a temporary file of its own there; that has to end it with exit code 1.
expect_interrupted() { # SIGNAL FILE BYTES COMMAND...
    local signal=$1 file=$2 bytes=$3 pid code
    shift 3
    mkfifo interrupted
    # (A background job of a script would ignore SIGINT.)
    env --default-signal=INT "$@" < interrupted 2> err &
    pid=$!
    exec 9> interrupted
    head -c "$bytes" "$file" >&9
    for _ in {1..1000}; do
        [ -n "$(find . -path '*.partial*' -type f)" ] && break
        sleep 0.01
    done
    kill -s "$signal" "$pid"
    wait "$pid"
    code=$?
    exec 9>&-
    rm interrupted
    [ "$code" = 1 ] || fail "SIG$signal: exit code $code"
    expect_message "interrupted by SIG$signal"
}

# A stream of the test vectors.
vector() { # NAME
    echo "$ROOT/tests/data/stream/$1.qbs"
}
