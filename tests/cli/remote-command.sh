#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-dump --to starts a command and sends it the stream; it succeeds only when
# the command has said that the backup is stored, and its exit code and words
# tell that it is stored, that it is not, and that nobody knows.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"

head -c 3M /dev/urandom > disk
archive_is_right() { # NAME
    rm -rf restored
    "$VMA_RESTORE" extract "$1" restored 2> restore.err ||
        fail "$(cat restore.err)"
    cmp disk restored/disk-d.raw || fail "another disk"
}
script() { # NAME; its lines come from standard input
    { echo '#!/bin/sh'; cat; } > "$1"
    chmod +x "$1"
}

# Words and quotes; what it says comes on the same standard error.
expect_exit 0 "$VMA_DUMP" d=disk --to "'$VMA_SINK' -o 'a b'\".vma\"" > out
expect_message 'committed: the reader has stored the backup'
expect_message 'a b.vma: 1 disk'
[ ! -s out ] || fail "something came on standard output"
archive_is_right 'a b.vma'

# Between them may be what passes bytes on in both directions.
script pipes <<EOF
cat | '$VMA_SINK' --json -o "\$1" | cat
EOF
expect_exit 0 "$VMA_DUMP" d=disk --to './pipes pipes.vma'
expect_message '"result":"done"'
archive_is_right pipes.vma

# No shell runs.
# shellcheck disable=SC2016 # it is not expanded
{
    expect_exit 0 "$VMA_DUMP" d=disk --to "'$VMA_SINK' -o \$HOME;id"
    archive_is_right '$HOME;id'
}

# Not committed: it never ran, it ended, it refused, it failed.
expect_exit 1 "$VMA_DUMP" d=disk --to 'no-such-command x'
expect_message "cannot start 'no-such-command'"
expect_exit 1 "$VMA_DUMP" d=disk --to "sh -c 'exit 255'"
expect_message 'not committed: '
expect_message "'sh' has ended with exit code 255"
script killed <<'EOF'
kill -9 $$
EOF
expect_exit 1 "$VMA_DUMP" d=disk --to ./killed
expect_message "'./killed' was killed by SIGKILL"
expect_exit 1 "$VMA_DUMP" d=disk --to "'$VMA_SINK' -o pipes.vma"
expect_message 'not committed: '
expect_message 'file exists'
archive_is_right pipes.vma
echo memory: 1 > vm.conf
expect_exit 1 "$VMA_DUMP" d=disk -c vm.conf \
    --to "'$VMA_SINK' -o b.vma -c vm.conf"
expect_message 'not committed: the reader of the stream has failed: cannot add'
expect_no_file b.vma b.vma.*

# What is read here fails, when not all of the first disk is sent yet.
head -c 1M /dev/urandom > short
script shrink <<EOF
truncate -s 0 short
exec '$VMA_SINK' -o b.vma
EOF
expect_exit 1 "$VMA_DUMP" d=disk s=short --to ./shrink
expect_message 'not committed: '
expect_message 'gave up'
expect_no_file b.vma b.vma.*

# Nobody knows: all was sent, and no answer comes.
"$VMA_DUMP" d=disk > stream 2> err || fail "$(cat err)"
script silent <<EOF
head -c $(stat -c %s stream) | '$VMA_SINK' -o "\$1" | cat > /dev/null
exit 3
EOF
expect_exit 5 "$VMA_DUMP" d=disk --to './silent silent.vma'
expect_message 'it is not known whether the backup is stored: the reader has'
expect_message "'./silent' has ended with exit code 3; 'vma-restore verify'"
archive_is_right silent.vma

# Something else comes before it: the stream itself, or words.
expect_exit 1 "$VMA_DUMP" d=disk --to cat
expect_message 'not committed: cannot write the stream: the reader has sent'
script noise <<EOF
echo 'Welcome to this host'
exec '$VMA_SINK' -o noise.vma
EOF
expect_exit 1 "$VMA_DUMP" d=disk --to ./noise
expect_message 'not committed: cannot write the stream: the reader has sent'
expect_no_file noise.vma noise.vma.*

# A command that does not end is ended, and what is stored stays so.
script stays <<EOF
'$VMA_SINK' -o "\$1"
exec sleep 1000
EOF
expect_exit 0 "$VMA_DUMP" d=disk --to './stays stays.vma'
expect_message 'did not end and was killed'
expect_message 'committed: '
archive_is_right stays.vma

# A QEMU gets the command's descriptor, and says what it has heard.
script keep <<'EOF'
cat > got
EOF
qemu() { # CODE FAKE_OPTION...
    local code=$1
    shift
    fake_qmp "$@"
    expect_exit "$code" "$VMA_DUMP" --qmp qmp --answer-timeout=7 --to ./keep
    kill "$FAKE_QMP" 2> /dev/null
    wait "$FAKE_QMP"
}
not_known='it is not known whether the reader has stored the backup'
echo stream > stream
qemu 0 --stream stream
expect_message 'committed: '
cmp stream got || fail 'another stream'
grep -q '"answer": true, "answer-timeout": 7' log || fail "$(cat log)"
qemu 1 --end error --errmsg 'the reader has failed: no space'
expect_message 'not committed: QEMU failed: the reader has failed: no space'
qemu 5 --end error --errmsg "nothing came; $not_known"
expect_message "$not_known; './keep' has ended with exit code 0; 'vma-restore"
qemu 5 --end cancelled --errmsg "by somebody; $not_known"
qemu 4 --end cancelled
expect_message 'not committed: the backup was cancelled by somebody else'
qemu 5 --end lost
expect_message 'it is not known whether the backup is stored: cannot tell'
qemu 5 --die-at query-backup
expect_message 'it is not known whether the backup is stored: '
qemu 1 --die-at getfd
expect_message 'not committed: '
qemu 1 --refuse backup
expect_message 'not committed: cannot start the backup: some reason'

# Ctrl-C, which both get, is for vma-dump: the sink hears why, and both end.
script slow <<EOF
'$VMA_SINK' -o int.vma
echo \$? > code
EOF
fake_qmp --end never
setsid env --default-signal=INT \
    "$VMA_DUMP" --qmp qmp --to ./slow 2> err < /dev/null &
await_command query-backup
kill -s INT -- -$!
wait $!
code=$?
[ "$code" = 1 ] || fail "SIGINT: exit code $code: $(cat err)"
expect_message 'not committed: interrupted'
[ "$(cat code)" = 4 ] || fail "the sink was interrupted: $(cat code err)"

expect_exit 2 "$VMA_DUMP" d=disk --to ''
expect_message "'' is not a command"
expect_exit 2 "$VMA_DUMP" d=disk --to "'x"
expect_message 'is not a command'
