#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-restore read-only does what a client asks for if that is reading an archive
# of its folder to standard output, and nothing else.
. "$(dirname "$0")/lib.sh"

head -c 300K /dev/urandom > disk
echo memory: 1 > vm.conf
mkdir store outside
"$VMA_DUMP" -c vm.conf d=disk 2> err | "$VMA_SINK" -o store/a.vma 2>> err ||
    fail "$(cat err)"
cp store/a.vma outside/b.vma
ln -s ../outside/b.vma store/link.vma
cp outside/b.vma store/-x.vma
cp outside/b.vma store/b.img
mkdir store/folder.vma
read_only() { # COMMAND
    SSH_ORIGINAL_COMMAND=$1 "$VMA_RESTORE" read-only store > out
}
expect_exit 0 read_only 'vma-restore list a.vma'
grep -q 'd$' out || fail "$(cat out)"
expect_exit 0 read_only 'vma-restore list --json a.vma'
grep -q '^{' out || fail "$(cat out)"
expect_exit 0 read_only 'vma-restore verify a.vma'
expect_exit 0 read_only 'vma-restore config a.vma vm.conf'
cmp out vm.conf || fail "$(cat out)"
for command in 'vma-restore extract -d d=- a.vma' \
    'vma-restore extract a.vma -d d=-'; do
    expect_exit 0 read_only "$command"
    cmp out disk || fail "another disk"
done
expect_exit 0 read_only 'vma-restore extract -d d=- --range 4096:1K a.vma'
cmp out <(tail -c +4097 disk | head -c 1024) || fail "another range"
# Its own exit codes and errors.
expect_exit 2 read_only 'vma-restore extract -d e=- a.vma'
expect_exit 1 read_only 'vma-restore verify no.vma'
head -c 100000 store/a.vma > store/cut.vma
expect_exit 4 read_only 'vma-restore verify cut.vma'
rm store/cut.vma

# Nothing else.
before=$(find . ! -name out ! -name err -printf '%p %s %T@\n')
# shellcheck disable=SC2016 # that is it
hostile=(
    '' 'id' 'cat store/a.vma' 'vma-restore' 'vma-restore list'
    'vma-restore extract a.vma' 'vma-restore extract a.vma .'
    'vma-restore extract a.vma new' 'vma-restore extract -d d a.vma'
    'vma-restore extract -d d=new a.vma' 'vma-restore extract -d d=a.vma a.vma'
    'vma-restore extract -d d=/dev/null a.vma' 'vma-restore extract -dd=- a.vma'
    'vma-restore extract --disk=d=- a.vma' 'vma-restore extract -d =- a.vma'
    'vma-restore extract -d -x=- a.vma' 'vma-restore extract -d ../d=- a.vma'
    'vma-restore extract -f -d d=new a.vma'
    'vma-restore extract -d d=- -d d=- a.vma'
    'vma-restore extract -d d=- --range -f a.vma'
    'vma-restore extract -d d=- --salvage a.vma'
    'vma-restore extract -d d=- a.vma b.vma'
    'vma-restore list -' 'vma-restore list ../outside/b.vma'
    'vma-restore list /etc/passwd' 'vma-restore list ./a.vma'
    'vma-restore list -x.vma' 'vma-restore list -- -x.vma'
    'vma-restore list b.img' 'vma-restore list .a.vma'
    'vma-restore list --json --help a.vma' 'vma-restore list --help'
    'vma-restore config a.vma ../x' 'vma-restore config a.vma --help'
    'vma-restore config a.vma vm.conf vm.conf'
    'vma-restore reindex a.vma c.vma' 'vma-restore serve a.vma --run id'
    'vma-restore serve --run id a.vma' 'vma-restore read-only .'
    'vma-restore read-only /' 'vma-restore --help' 'vma-restore --version'
    'vma-restore list a.vma;id' 'vma-restore list a.vma; id'
    'vma-restore list $(id).vma' 'vma-restore list `id`.vma'
    'vma-restore list *.vma' 'vma-restore list ?.vma' "vma-restore list 'a.vma'"
    'vma-restore  list a.vma' ' vma-restore list a.vma'
    'vma-restore list a.vma ' $'vma-restore list a.vma\n'
    $'vma-restore list a.vma\nid' $'vma-restore\tlist a.vma'
    $'vma-restore list \e[2Ja.vma' $'vma-restore list \xff.vma'
    'vma-sink x.vma' 'vma-restore list a.vma | sh' 'vma-restore list a.vma > x'
    "vma-restore list $(printf 'a%.0s' {1..300}).vma"
    "$(printf 'vma-restore list a.vma %.0s' {1..5000})"
)
for command in "${hostile[@]}"; do
    read_only "$command" 2> err && fail "taken: $command: $(cat out)"
    [ ! -s out ] || fail "$command: $(cat out)"
    grep -q 'this key is for reading archives' err || fail "$command: $(cat err)"
done
echo "${#hostile[@]} hostile commands"
env -u SSH_ORIGINAL_COMMAND "$VMA_RESTORE" read-only store > out 2> err &&
    fail 'without a command'
for name in link folder; do
    expect_exit 1 read_only "vma-restore list $name.vma"
    expect_message 'it is no file'
done
[ "$(find . ! -name out ! -name err -printf '%p %s %T@\n')" = "$before" ] ||
    fail 'something was changed'
ln -s store link
SSH_ORIGINAL_COMMAND='vma-restore list a.vma' expect_exit 1 "$VMA_RESTORE" \
    read-only link
