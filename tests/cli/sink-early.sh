#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What can't end well is refused before a byte of the stream is read; and a
# closed standard descriptor takes no file's place.
. "$(dirname "$0")/lib.sh"

mkfifo never
exec 8<> never
expect_exit 2 timeout 10 "$VMA_SINK" -o '' <&8
expect_message 'the name of the output is empty'
expect_exit 1 timeout 10 "$VMA_SINK" -o a.vma -c missing.conf <&8
expect_message 'missing.conf'
expect_exit 1 timeout 10 "$VMA_SINK" -o no/a.vma <&8
long=$(printf '%0300d' 0).vma
for format in vma raw; do
    expect_exit 1 timeout 10 "$VMA_SINK" --format="$format" -o "$long" <&8
    expect_message "nothing was stored: cannot create '$long': File name too long"
done
expect_exit 1 timeout 10 "$VMA_RESTORE" reindex - "$long" <&8
expect_message "nothing was stored: cannot create '$long': File name too long"
expect_no_file a.vma a.vma.* 0000*

# A file that can't be replaced, and a folder that would keep the temporary one.
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
    mkdir -m 1777 sticky
    echo old > sticky/a.vma
    chmod 666 sticky/a.vma
    chmod 755 .
    cp "$VMA_SINK" sink
    expect_exit 1 timeout 10 setpriv --reuid=65534 --regid=65534 \
        --clear-groups "$T/sink" --force -o sticky/a.vma <&8
    expect_message "'sticky/a.vma' is untouched: cannot replace 'sticky/a.vma'"
    [ "$(ls sticky; cat sticky/a.vma)" = "a.vma
old" ] || fail "it is touched: $(ls sticky)"
    touch file
    if unshare --mount true 2> /dev/null; then
        # shellcheck disable=SC2016 # for the inner shell
        expect_exit 2 timeout 10 unshare --mount bash -c '
            mount --bind file sticky/a.vma && exec "$VMA_SINK" -f -o "$@"' \
            bash sticky/a.vma <&8
        expect_message "cannot replace 'sticky/a.vma': it is a mount point"
    fi
fi
mkdir appended
if chattr +a appended 2> /dev/null; then
    for options in '-o appended/a.vma' '--format=raw -o appended/a' \
        '--receive appended'; do
        # shellcheck disable=SC2086 # they are several
        timeout 10 "$VMA_SINK" $options <&8 2> err
        code=$?
        left=$(ls appended)
        [ "$code:$left" = 1: ] || break
    done
    chattr -a appended
    [ "$code:$left" = 1: ] || fail "$options: $code, left: $left"
    expect_message 'is append-only'
fi
exec 8>&-

stream=$(vector example)
"$VMA_SINK" -o a.vma < "$stream" 2>&- || fail "without standard error"
"$VMA_SINK" -o b.vma < "$stream" 2> err || fail "$(cat err)"
cmp a.vma b.vma || fail "another archive without standard error"
expect_exit 2 "$VMA_SINK" -o c.vma <&-
expect_exit 1 "$VMA_SINK" -o - < "$stream" >&-
expect_no_file c.vma c.vma.*
printf X | dd of=a.vma bs=1 seek=13400 conv=notrunc status=none
"$VMA_RESTORE" extract --salvage - out < a.vma 2>&- && fail "no damage"
! grep -qa damage out/* || fail "a message in a disk"

# A replaced file keeps its mode.
chmod 0600 b.vma
expect_exit 0 "$VMA_SINK" --force -o b.vma < "$stream"
[ "$(stat -c %a b.vma)" = 600 ] || fail "mode $(stat -c %a b.vma)"
