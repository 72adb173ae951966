#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --format=raw: what can't become a folder is refused before a byte is read; a
# folder that exists is replaced only with --force, only where it holds nothing
# but files, only as a whole, and only by a good backup.
. "$(dirname "$0")/lib.sh"

mkfifo never
exec 8<> never
wrong() { # MESSAGE ARGUMENT...
    local message=$1
    shift
    expect_exit 2 timeout 10 "$VMA_SINK" "$@" <&8
    expect_message "$message"
    expect_no_file ./*.partial
}
wrong "there is no format 'qcow2'" --format=qcow2 -o x
wrong "there is no format ''" --format= -o x
wrong "can't go to standard output" --format=raw -o -
wrong 'the name of the output is empty' --format=raw -o ''
for name in . .. / ./ x/..; do
    wrong 'no name for a new folder' --format=raw --force -o $name
done
expect_exit 1 timeout 10 "$VMA_SINK" --format=raw -o no/such <&8
expect_message "cannot open folder 'no'"

echo precious > file
mkdir folder nested nested/inner links empty
echo old > folder/old
echo old > folder/disk-big.raw
ln -s ../file links/link
ln -s folder link
wrong 'is not a folder' --format=raw --force -o file
wrong 'is not a folder' --format=raw --force -o link
wrong 'folder exists (--force replaces it)' --format=raw -o folder
wrong 'folder exists (--force replaces it)' --format=raw -o folder/
wrong 'folder exists (--force replaces it)' --format=raw -o empty
wrong "it holds 'inner'" --format=raw --force -o nested
wrong "it holds 'link'" --format=raw --force -o links
wrong 'not a regular file' --force -o folder
exec 8>&-
[ "$(cat folder/old)" = old ] || fail "changed"

stream=$(vector example)
expect_exit 0 "$VMA_SINK" --format=raw -o new < "$stream"
expect_exit 4 "$VMA_SINK" --format=raw --force -o folder < "$(vector no-end)"
[ "$(cat folder/old folder/disk-big.raw)" = $'old\nold' ] || fail "changed"
chmod 0750 folder
for name in folder empty/; do
    expect_exit 0 "$VMA_SINK" --format=raw --force -o $name < "$stream"
    diff -r new $name || fail "not replaced as a whole"
    expect_no_file ./*.partial
done
[ "$(stat -c %a folder)" = 750 ] || fail "mode $(stat -c %a folder)"

# What somebody has put into the old folder meanwhile is not removed, and told.
mkfifo pipe
"$VMA_SINK" --format=raw --force -o folder < pipe 2> err &
exec 9> pipe
for ((i = 0; i < 1000; i++)); do
    compgen -G 'folder.*.partial' > /dev/null && break
    sleep 0.01
done
sleep 0.1
mkdir folder/mine
echo mine > folder/mine/file
cat "$stream" >&9
exec 9>&-
wait $! || fail "$(cat err)"
expect_message 'warning: cannot remove all of the folder that was replaced'
diff -r new folder || fail "not replaced"
[ "$(cat folder.*.partial/mine/file)" = mine ] || fail "removed"
rm -r folder.*.partial

# One that came into being meanwhile stays, and this is a failure.
"$VMA_SINK" --format=raw -o later < pipe 2> err &
exec 9> pipe
for ((i = 0; i < 1000; i++)); do
    compgen -G 'later.*.partial' > /dev/null && break
    sleep 0.01
done
mkdir later
cat "$stream" >&9
exec 9>&-
wait $!
code=$?
[ $code = 1 ] || fail "exit code $code: $(cat err)"
expect_message 'File exists'
[ -z "$(ls -A later)" ] || fail "written to"
expect_no_file later.*
