#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Who takes over nbdkit by an archive that our plugin reads can't run a program,
# connect to anywhere, write a file or change what is known of one, neither in the
# child that looks at the archive first, nor in nbdkit itself; confine=no lets it.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/nbdkit.sh"
. "$ROOT/tests/lib/confine.sh"
make_archives
nbdkit "$PLUGIN" --dump-plugin | grep -q '^vma_confinement=.*seccomp yes' ||
    fail "--dump-plugin does not say that it is confined"

denied='Permission denied'
refused='Operation not permitted'
unknown='Function not implemented'
changes='chmod fchmodat2 setxattrat chown setxattr utime truncate empty neither flags'
have landlock || denied='done'
echo secret > file

# The plugin with FILE tries something; what comes of it: words, or "killed".
try() { # WORDS TRY ARGUMENT...
    local words=$1 code
    shift
    # -f: nbdkit itself does not fork.
    intrude "$1" nbdkit -f -U "$T/socket" "$PLUGIN" "$FILE" "${@:2}" 2> err
    code=$?
    rm -f socket new
    case $words in
    killed) ! grep -q '^intruder' err && [ "$code" = "$KILLED" ] ;;
    *) grep -qx "intruder: ${1%%:*}: $words" err ;;
    esac || fail "$1 by the plugin: exit code $code, $(cat err)"
}

for FILE in ours.vma ours.vma.zst; do
    # The child, of whose end nbdkit tells.
    KILLED=1
    try killed execve:/bin/true
    try killed ptrace
    try "$refused" tcp
    try "$refused" unix
    try "$denied" open:file
    try "$denied" create:new

    # nbdkit, which may read files.
    export INTRUDER_WAITS=1
    KILLED=159
    try "$refused" execve:/bin/true
    try killed ptrace
    try killed mount:/mnt
    [ "$(uname -m)" != x86_64 ] || try killed x32
    try "$refused" tcp
    try "$refused" unix
    try "$refused" connect:socket
    try 'done' open:file
    try "$denied" create:new
    for change in $changes; do
        try "$refused" "$change:file"
    done
    try "$unknown" openat2:file
    for signal in kill setown setsig async notify:. limit; do
        try "$refused" "$signal"
    done
    try 'done' thread
    try 'done' create:new confine=no
    try 'done' tcp confine=no
    try 'done' connect:socket confine=no
    try 'done' chmod:file confine=no
    unset INTRUDER_WAITS
done

# What nbdkit starts is not confined.
FILE=none
intrude none nbdkit -U - "$PLUGIN" ours.vma --run '/bin/true && echo > new' ||
    fail "the command could not do what it does"
[ -e new ] || fail "the command was confined"

# nbdkit puts away what it has made.
# shellcheck disable=SC2016 # nbdkit's
TMPDIR=$T nbdkit -U - "$PLUGIN" ours.vma --run 'echo "$unixsocket"' > where ||
    fail "no nbdkit"
expect_no_file "$(cat where)" "$(dirname "$(cat where)")"
