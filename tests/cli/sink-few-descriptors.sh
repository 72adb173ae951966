#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Where there are too few descriptors vma-sink fails, at once or later, and leaves
# nothing; it never confines itself so that it can't name or remove its file.
. "$(dirname "$0")/lib.sh"

few() { # COUNT ARGUMENT...
    (
        ulimit -n "$1"
        shift
        exec "$VMA_SINK" "$@"
    ) < "$(vector example)" 2> err
}
done=0
for arguments in '-o out/a.vma' '--receive out' '--format=raw -o out/a' \
    '--receive out --max-total 1G'; do
    for count in {4..16}; do
        rm -rf out
        mkdir out
        # shellcheck disable=SC2086 # words
        few "$count" $arguments
        code=$?
        expect_no_file out/*.partial
        case $code in
        0) [ -n "$(ls out)" ] || fail "$count, $arguments: no archive" ;;
        *)
            [ -z "$(ls out)" ] || fail "$count, $arguments: an archive"
            ! grep 'Permission denied' err || fail "$count, $arguments" ;;
        esac
    done
    # (The last one is enough.)
    [ "$code" = 0 ] || fail "$arguments: $(cat err)"
    done=$((done + 1))
done
[ "$done" = 4 ] || fail "only $done"
