#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# vma-sink --receive adds an archive to its folder, under the name that the client
# wishes if that is a harmless one, and does nothing else, whatever the client
# asks for, whatever lies there, and never more than it may.
. "$(dirname "$0")/lib.sh"

head -c 300K /dev/urandom > disk
"$VMA_DUMP" d=disk > stream 2> err || fail "$(cat err)"
"$VMA_SINK" -o right.vma < stream 2> err || fail "$(cat err)"
size=$(stat -c %s right.vma)
mkdir store outside
echo secret > outside/file
receive() { # COMMAND OPTION...
    local command=$1
    shift
    SSH_ORIGINAL_COMMAND=$command "$VMA_SINK" --receive store "$@" < stream
}
uuid='[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
own="^[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{6}-$uuid\\.vma\$"
world() { # everything but what is in the store
    find . -path ./store -prune -o -printf '%p %s %T@\n' | grep -v '^\./err '
}
expect_stored() { # PATTERN of the only file
    local name
    name=$(ls -A store)
    [[ $name =~ $1 ]] || fail "the store has: $name"
    cmp "store/$name" right.vma || fail "another archive"
    rm "store/$name"
}

# Wishes.
for command in 'vma-sink -o vm1.vma' 'vma-sink vm1.vma' \
    'vma-sink --compress=none -o vm1.vma'; do
    expect_exit 0 receive "$command"
    expect_message 'vm1.vma: 1 disk'
    expect_stored '^vm1.vma$'
done
for command in 'vma-sink -o 1.vma.zst' 'vma-sink --compress=zstd 1.vma.zst' \
    'vma-sink --compress=zstd:9 -o 1.vma.zst'; do
    expect_exit 0 receive "$command"
    [ "$(ls -A store)" = 1.vma.zst ] || fail "$(ls -A store)"
    zstd -dcq store/1.vma.zst | cmp - right.vma ||
        fail "$command: another archive"
    rm store/1.vma.zst
done
long=$(printf 'a%.0s' {1..124})
expect_exit 0 receive "vma-sink $long.vma"
expect_stored "^$long.vma\$"
expect_exit 0 receive 'vma-sink vm1-2.vma' --keep-names 'vm1-*'
expect_stored '^vm1-2.vma$'
expect_exit 0 receive 'vma-sink vm2-2.vma' --keep-names 'vm1-*'
expect_stored "$own"
# What the host says is not the client's.
expect_exit 0 receive 'vma-sink --compress=zstd x.vma' --compress=none
expect_stored '^x.vma$'

# None.
expect_exit 0 env -u SSH_ORIGINAL_COMMAND "$VMA_SINK" --receive store < stream
! grep -q note err || fail "$(cat err)"
expect_stored "$own"
expect_exit 0 env -u SSH_ORIGINAL_COMMAND "$VMA_SINK" --receive store \
    --compress=zstd < stream
[[ $(ls -A store) =~ ^[0-9a-f-]*\.vma\.zst$ ]] || fail "$(ls -A store)"
rm store/*

# What is hostile gets a name of ours, and nothing else happens.
before=$(world)
# shellcheck disable=SC2016 # that is it
hostile=(
    'id' 'sh' '/bin/sh' 'cat outside/file' 'scp -t .' 'rsync --server . .'
    'internal-sftp' 'vma-restore list x.vma' 'vma-dump x=/etc/passwd'
    'vma-sink' 'vma-sink ' ' vma-sink x.vma' 'vma-sink  x.vma' 'vma-sink x.vma '
    $'vma-sink\tx.vma' 'vma-sink -o' 'vma-sink -o ' 'vma-sink -o -o x.vma'
    'vma-sink -ox.vma' 'vma-sink --output=x.vma' 'vma-sink x.vma y.vma'
    'vma-sink -o x.vma -f' 'vma-sink -f -o x.vma' 'vma-sink --force x.vma'
    'vma-sink -o -' 'vma-sink -' 'vma-sink -- x.vma' 'vma-sink --help'
    'vma-sink --version' 'vma-sink --receive . x.vma'
    'vma-sink --receive=/tmp -o x.vma' 'vma-sink -c /etc/passwd -o x.vma'
    'vma-sink --config=outside/file x.vma' 'vma-sink --fd 3 -o x.vma'
    'vma-sink --spool outside -o x.vma' 'vma-sink --max-size=1T x.vma'
    'vma-sink --format=raw -o x' 'vma-sink --format=raw x.vma'
    'vma-sink --buffer=1T -o x.vma' 'vma-sink -T 1000 -o x.vma'
    'vma-sink --compress=zstd:19 x.vma' 'vma-sink --compress=zstd:-7 x.vma'
    'vma-sink --compress= x.vma' 'vma-sink --compress=zstd:1;id x.vma'
    'vma-sink --compress=zstd --compress=none x.vma'
    'vma-sink -o ../x.vma' 'vma-sink ../outside/x.vma' 'vma-sink /tmp/x.vma'
    'vma-sink -o ./x.vma' 'vma-sink outside/x.vma' 'vma-sink ..' 'vma-sink .'
    'vma-sink ../outside/file' 'vma-sink ~/x.vma' 'vma-sink -o ~root/x.vma'
    'vma-sink .x.vma' 'vma-sink .vma' 'vma-sink -x.vma' 'vma-sink +x.vma'
    'vma-sink _x.vma' 'vma-sink x' 'vma-sink authorized_keys'
    'vma-sink x.vma.partial' 'vma-sink x.vma.zst.gz' 'vma-sink x.VMA'
    'vma-sink x.vma;touch${IFS}canary' 'vma-sink x.vma; touch canary'
    'vma-sink $(touch canary).vma' 'vma-sink `touch${IFS}canary`.vma'
    'vma-sink x.vma|sh' 'vma-sink x.vma&&id' 'vma-sink x.vma&' 'vma-sink *.vma'
    'vma-sink ?.vma' 'vma-sink {a,b}.vma' 'vma-sink x>canary.vma'
    'vma-sink <x.vma' "vma-sink 'x.vma'" 'vma-sink "x.vma"' 'vma-sink x\.vma'
    'vma-sink !!.vma' 'vma-sink #.vma' 'vma-sink %s%n.vma' 'vma-sink x=1.vma'
    'vma-sink x:y.vma' 'vma-sink x@y.vma' 'vma-sink x,y.vma'
    $'vma-sink x.vma\n' $'vma-sink x.vma\nid' $'vma-sink\nx.vma'
    $'x\nvma-sink x.vma' $'vma-sink x\r.vma' $'vma-sink \e[2J\e]0;t\a.vma'
    $'\e]52;c;aWQ=\a' $'vma-sink x\x7f.vma' $'vma-sink \xc2\x9b2J.vma'
    $'vma-sink \xff\xfe.vma' $'vma-sink x\xc3' $'\x80\x80' $'vma-sink \xc3\xa4.vma'
    $'vma-sink \xe2\x80\xaea.vma' 'VMA-SINK x.vma' '/usr/bin/vma-sink x.vma'
    './vma-sink x.vma' 'vma-sink.sh x.vma' 'PATH=. vma-sink x.vma'
    "vma-sink a$long.vma" "vma-sink $(printf 'b%.0s' {1..300}).vma"
    "$(printf 'vma-sink x.vma %.0s' {1..6000})" "$(printf '\n%.0s' {1..5000})x"
)
for command in "${hostile[@]}"; do
    receive "$command" 2> err || fail "exit code $?: $command: $(cat err)"
    expect_stored "$own"
    grep -q 'is not taken: a backup is received' err || fail "$command: no note"
    # Nothing that a terminal would obey, and not much of it.
    ! grep -q '[^[:print:]]' err || fail "not printable: $(cat -A err)"
    [ "$(wc -c < err)" -lt 1000 ] || fail "a long message"
done
[ "$(world)" = "$before" ] || fail "something was changed: $(world)"
echo "${#hostile[@]} hostile commands"

# Nothing is replaced or followed, whoever has put it there.
cp right.vma store/there.vma
ln -s ../outside/file store/link.vma
ln -s ../outside/new store/dangling.vma
mkdir store/folder.vma
for name in there link dangling folder; do
    expect_exit 2 receive "vma-sink -o $name.vma"
    expect_message "cannot create '$name.vma'"
done
cmp store/there.vma right.vma
[ "$(cat outside/file)" = secret ] || fail "it was written to"
expect_no_file outside/new store/*.partial
rm -r store
mkdir store

# The folder is the one of the start, and a name that comes up meanwhile stays.
mkfifo pipe
start() { # COMMAND
    SSH_ORIGINAL_COMMAND=$1 "$VMA_SINK" --receive store < pipe 2> err &
    exec 5> pipe
    while ! compgen -G 'store/*.partial' > /dev/null; do
        kill -0 $! 2> /dev/null || fail "it has ended: $(cat err)"
        sleep 0.02
    done
}
end() { # CODE
    cat stream >&5
    exec 5>&-
    wait $!
    local code=$?
    [ "$code" = "$1" ] || fail "exit code $code: $(cat err)"
}
start 'vma-sink x.vma'
mv store moved
ln -s outside store
end 0
expect_no_file outside/x.vma
cmp moved/x.vma right.vma || fail 'not in the folder'
rm store
mv moved store
rm store/*
start 'vma-sink x.vma'
ln -s ../outside/file store/x.vma
end 1
[ "$(cat outside/file)" = secret ] || fail "it was written to"
[ "$(ls -A store)" = x.vma ] || fail "left over: $(ls -A store)"
rm store/x.vma

# No folder, a link to one, no right, no room.
ln -s store link
for link in link link//; do
    expect_exit 1 "$VMA_SINK" --receive "$link" < stream
    expect_message 'no link to one'
done
cp stream file
expect_exit 1 "$VMA_SINK" --receive file < stream
expect_exit 1 "$VMA_SINK" --receive nowhere < stream
expect_exit 1 receive 'vma-sink x.vma' --max-size $((size - 1))
expect_message "the file would have more than the $((size - 1)) bytes"
expect_no_file store/*
expect_exit 0 receive 'vma-sink x.vma' --max-size "$size"
# One is there.
expect_exit 1 receive 'vma-sink y.vma' --max-total $((2 * size - 1))
expect_message 'its folder would have more than'
expect_exit 1 receive 'vma-sink y.vma' --max-total "$size"
expect_message 'cannot receive: its folder'
expect_exit 1 receive 'vma-sink z.vma.zst' --max-total $((size + 100))
[ "$(ls -A store)" = x.vma ] || fail "left over: $(ls -A store)"
expect_exit 0 receive 'vma-sink y.vma' --max-total $((2 * size))
rm store/*

# Several at a time.
cat disk disk disk disk > larger
"$VMA_DUMP" d=larger > larger.stream 2> err || fail "$(cat err)"
limit=3M
pids=()
for i in 1 2 3 4 5 6; do
    SSH_ORIGINAL_COMMAND="vma-sink $i.vma" "$VMA_SINK" --receive store \
        --max-total $limit < larger.stream 2> "err$i" &
    pids+=($!)
done
stored=0
for pid in "${pids[@]}"; do
    wait "$pid" && stored=$((stored + 1))
done
[ "$(find store -type f | wc -l)" = $stored ] || fail "left over: $(ls -A store)"
[ "$(cat store/* /dev/null | wc -c)" -le $((3 << 20)) ] ||
    fail "more than the folder may have: $(ls -l store)"
rm -f store/*

# A bad stream leaves nothing, and a client that waits for an answer gets one.
head -c 200K stream > short
expect_exit 4 "$VMA_SINK" --receive store < short
expect_exit 3 "$VMA_SINK" --receive store < disk
expect_exit 0 "$VMA_DUMP" d=disk --to "'$VMA_SINK' --receive store"
expect_message 'committed: '
rm store/*
expect_exit 1 "$VMA_DUMP" d=disk --to "'$VMA_SINK' --receive store --max-size 1K"
expect_message 'not committed: the reader of the stream has failed: cannot write'
expect_no_file store/*

for options in '-o x.vma' '--force' '--format=raw' '--format=vma'; do
    # shellcheck disable=SC2086 # several words
    expect_exit 2 receive '' $options
    expect_message "can't be combined"
done
for option in --keep-names=x --max-total=1; do
    expect_exit 2 "$VMA_SINK" -o x.vma "$option" < stream
    expect_message 'go with --receive only'
done
