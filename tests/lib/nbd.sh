# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests of vma-dump with NBD servers, sourced after lib.sh.

needs() { # COMMAND...
    local command
    for command in "$@"; do
        command -v "$command" > /dev/null || skip "no $command"
    done
}

# Starts fake_nbd.py with the options given; $URI is where it listens, and what
# it is asked for is in "nbd.log".
fake_nbd() { # [OPTION...] FILE
    rm -f nbd nbd.log
    "$ROOT/tests/lib/fake_nbd.py" "$@" nbd &
    FAKE_NBD=$!
    # shellcheck disable=SC2034 # for the tests
    URI="nbd+unix:///?socket=$T/nbd"
    for _ in {1..500}; do
        [ -S nbd ] && return
        kill -0 "$FAKE_NBD" || break
        sleep 0.02
    done
    fail "no fake server"
}

# Runs a command beside a server of nbdkit, which has its URI as $uri.
with_nbdkit() { # COMMAND NBDKIT-ARGUMENT...
    local command=$1
    shift
    nbdkit -U - "$@" --run "$command"
}

# A server of nbdkit at a socket, which goes when the test does; its process id
# is in SOCKET.pid.
serve() { # SOCKET NBDKIT-ARGUMENT...
    local socket=$1
    shift
    nbdkit --exit-with-parent -f -U "$socket" -P "$socket.pid" "$@" &
    for _ in {1..500}; do
        [ -s "$socket.pid" ] && return
        sleep 0.02
    done
    fail "no nbdkit"
}

# Checks a stream in the file "stream" and leaves its disks in "got".
read_stream() { # WORDS
    rm -rf got
    mkdir got
    "$ROOT/tests/lib/qbs.py" got < stream > list || fail "bad stream: $1"
}

# Fails unless the file "stream" ends in a record of an abort with the words.
expect_abort() { # REASON WORDS
    "$ROOT/tests/lib/qbs.py" < stream > list 2> qbs.err
    [ $? = 4 ] || fail "no incomplete stream: $(cat qbs.err)"
    grep -F "aborted, reason $1: " qbs.err | grep -qF "$2" ||
        fail "$(cat qbs.err)"
}
