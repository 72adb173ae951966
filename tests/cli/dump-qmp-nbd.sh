#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The method nbd tries to thaw the guest also while its reader stalls; it never
# has many requests under way whose answers it does not take, however much of a
# disk is a hole, and asks no QEMU for holes that could abort; and it leaves an
# NBD server alone that was there before, whenever a signal comes.
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lib/fake-qmp.sh"
. "$ROOT/tests/lib/fake-agent.sh"

mkdir images
nbd() { dump_qmp --method=nbd --fleecing images "$@"; }

# Each of them is for a GiB.
fake_qmp --version=8.2.1 \
    --nbd="--trim --size=$((100 << 30)) --extents=$((1 << 31)):3 /dev/null"
expect_exit 0 nbd
[ "$(grep -c trim nbd.log)" = 100 ] || fail "$(grep -c trim nbd.log) discards"
most=$(sed -n 's/^answers //p' nbd.log | sort -n | tail -n 1)
[ "$most" -le 20 ] || fail "$most requests are not answered"

# A QEMU that could abort is not asked for holes.
head -c 64K /dev/urandom > disk
for version in 7.2.22 8.0.0 8.2.0; do
    rm nbd.log
    fake_qmp --version="$version" --nbd=disk
    expect_exit 0 nbd
    grep -q read nbd.log || fail "$version was not read"
    ! grep status nbd.log || fail "$version was asked"
done

signalled() { # COMMAND OPTION...
    fake_qmp --version=7.2 --hang-at "$@"
    env --default-signal=INT "$VMA_DUMP" --qmp qmp --method=nbd \
        --fleecing images > >(cat > out) 2> err &
    pid=$!
    for _ in {1..500}; do
        ! grep -qs -e "\"$1\"" -e "-${1#*:}0-......\"" log || break
        sleep 0.02
    done
    kill -s INT "$pid"
    wait "$pid"
    code=$?
    cat err
    [ "$code" = 1 ] || fail "exit code $code"
    expect_message 'interrupted'
}
# Somebody else's server has no exports yet, and QEMU takes its time to say so.
for command in blockdev-add:m nbd-server-start; do
    signalled "$command" --refuse nbd-server-start \
        --errmsg 'NBD server already running'
    ! grep -q '"nbd-server-stop"' log || fail "it was stopped"
done
# Our own is not left running.
signalled nbd-server-start
grep -q '"nbd-server-stop"' log || fail "it was not stopped"

# Nobody reads more than the start of the stream before the guest is thawed.
head -c 8M /dev/urandom > disk
fake_qmp --version=7.2 --nbd=disk
fake_agent --refuse guest-fsfreeze-thaw --times 2
mkfifo pipe
"$VMA_DUMP" --qmp qmp --method=nbd --fleecing images --fsfreeze agent \
    > pipe 2> err &
pid=$!
exec 9< pipe
for _ in {1..1000}; do
    ! grep -q 'file systems frozen for' err || break
    sleep 0.03
done
expect_message "warning: the guest's file systems may be frozen"
expect_message 'file systems frozen for'
cat <&9 > stream
wait "$pid" || fail "exit code $?"
"$ROOT/tests/lib/qbs.py" < stream > list || fail "bad stream"
