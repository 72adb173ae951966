# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For the tests of what a program can't do any more once it reads, sourced after
# lib.sh; skips where it is not confined.

case $(ldd "$VMA_SINK") in
*libasan*) skip "a preloaded library does not go with the sanitizers" ;;
esac
case $("$VMA_SINK" --version) in
*'or for coverage'*) skip "a build for coverage may do more" ;;
esac

[ -e "$B/tests/intruder.so" ] || fail "$B/tests/intruder.so is not built"

# What --version says is in force.
have() { # seccomp|landlock
    "$VMA_SINK" --version | grep -q "^confinement: .*$1 yes"
}

"$VMA_SINK" --version | grep -q '^confinement: ' || fail "--version does not say"
have seccomp || skip "$("$VMA_SINK" --version | grep confinement)"

# Runs COMMAND, which tries TRY once the first byte of the file $FILE was read.
intrude() { # TRY COMMAND...
    INTRUDER_FILE=$FILE INTRUDER_DOES=$1 LD_PRELOAD=$B/tests/intruder.so "${@:2}"
}
