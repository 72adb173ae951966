#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# --format=raw: what can't become a folder is refused before a byte is read; a
# folder that exists is replaced only with --force, only where it looks like one
# of these, only as a whole, and only by a good backup; nothing else is removed.
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
# What could be anything else than images and configurations.
for name in mon.vma mon.vma.zst .hidden x.conf.AbCdEf.partial; do
    mkdir archive
    echo precious > archive/disk-a.raw
    echo precious > archive/$name
    wrong "it holds '$name'" --format=raw --force -o archive
    [ "$(cat archive/$name archive/disk-a.raw)" = $'precious\nprecious' ] ||
        fail "changed"
    rm -r archive
done
mkdir archive
echo notes > archive/notes
wrong "no image disk-NAME.raw" --format=raw --force -o archive
echo > archive/disk-a.raw
truncate -s 65536 archive/notes
wrong "it holds 'notes'" --format=raw --force -o archive
rm -r archive
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

# What somebody does to the old folder meanwhile is told, and nothing of it is
# removed.
mkfifo pipe
meanwhile() { # COMMAND...
    rm -rf folder
    cp -r new folder
    "$VMA_SINK" --format=raw --force -o folder < pipe 2> err &
    exec 9> pipe
    # It is read only when the folder has been looked at.
    head -c 16 "$stream" >&9
    until_read 9
    "$@"
    tail -c +17 "$stream" >&9
    exec 9>&-
    wait $! || fail "$(cat err)"
    expect_message 'warning: not all of what was replaced is removed'
    diff -r new folder || fail "not replaced"
}
put_something() {
    mkdir folder/mine
    echo mine > folder/mine/file
    echo mine > folder/disk-mine.raw
    echo mine > folder/other.partial
}
meanwhile put_something
[ "$(cat folder.*.partial/{mine/file,disk-mine.raw,other.partial})" = \
    $'mine\nmine\nmine' ] || fail "removed"
[ "$(find folder.*.partial -type f | wc -l)" = 3 ] ||
    fail "more is left than what was put there"
rm -r folder.*.partial

image=$(basename new/disk-*.raw)
write_something() {
    echo mine > "folder/$image"
}
meanwhile write_something
[ "$(cat folder.*.partial/*)" = mine ] || fail "removed"
rm -r folder.*.partial

# Its name leads to another folder, with files of the same names.
swap_link() {
    mv folder moved
    cp -r new other
    ln -s other folder
}
meanwhile swap_link
[ "$(readlink folder.*.partial)" = other ] || fail "the link is gone"
diff -r new other || fail "another folder was emptied"
diff -r new moved || fail "the folder that was moved was emptied"
rm -r folder.*.partial moved other
swap_folder() {
    mv folder moved
    cp -r new folder
}
meanwhile swap_folder
diff -r new folder.*.partial || fail "another folder was emptied"
diff -r new moved || fail "the folder that was moved was emptied"
rm -r folder.*.partial moved

# One that came into being meanwhile stays, and this is a failure.
"$VMA_SINK" --format=raw -o later < pipe 2> err &
exec 9> pipe
head -c 16 "$stream" >&9
until_read 9
mkdir later
tail -c +17 "$stream" >&9
exec 9>&-
wait $!
code=$?
[ $code = 1 ] || fail "exit code $code: $(cat err)"
expect_message 'File exists (another run'
[ -z "$(ls -A later)" ] || fail "written to"
expect_no_file later.*

# A mount of the same file system, which has the same device number.
if [ "$(id -u)" = 0 ] && unshare --mount true 2> /dev/null; then
    mkdir mounted
    exec 8<> never
    # shellcheck disable=SC2016 # the inner shell's
    expect_exit 2 timeout 10 unshare --mount sh -c \
        'mount --bind new mounted && exec "$1" --format=raw -f -o mounted' \
        - "$VMA_SINK" <&8
    expect_message 'is a mount point'
    exec 8>&-
fi
