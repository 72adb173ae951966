#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The manual pages are sound, have exactly the options of the programs, and
# show the stream as wire-format.md does.
. "$(dirname "$0")/lib.sh"

man=$ROOT/vma-sink/man
command -v mandoc > /dev/null || skip "no mandoc"
command -v man > /dev/null || skip "no man-db"
for page in "$man"/*.[15]; do
    # Whether other packages' pages are here says nothing of this one.
    mandoc -T lint "$page" 2> err |
        grep -v 'referenced manual not found' > found
    [ ! -s found ] || fail "$(cat found)"
    MANWIDTH=80 man --warnings -l "$page" > text 2> err ||
        fail "$page: $(cat err)"
    [ ! -s err ] || fail "$page: $(cat err)"
    grep -q '^EXAMPLES' text || fail "$page: no examples"
done

# Long options, as "--name": of what --help prints, and of a page's items.
of_help() { "$@" --help | sed -nE 's/^  (-.,)? *(--[a-z-]+).*/\2/p'; }
of_page() { # FILE
    sed -nE '/^\.It Fl/s/.*Fl (-[a-z-]+).*/-\1/p' "$1" | sort -u
}
same() { # PAGE
    sort -u help > wanted
    of_page "$man/$1" > page
    diff wanted page > difference ||
        fail "$1: --help (<) and the page (>): $(cat difference)"
}
of_help "$VMA_DUMP" > help
same vma-dump.1
of_help "$VMA_SINK" > help
same vma-sink.1
commands=$("$VMA_RESTORE" --help |
    sed -n '/^Commands/,/^$/s/^  \([a-z-]*\) .*/\1/p')
[ "$(wc -w <<< "$commands")" -ge 6 ] || fail "which commands? $commands"
{
    of_help "$VMA_RESTORE"
    for command in $commands; do
        of_help "$VMA_RESTORE" "$command"
        grep -q "^\.It Cm $command\$" "$man/vma-restore.1" || fail "no $command"
    done
} > help
same vma-restore.1
# Each row of a table of three or more columns, or with a number, in both.
sed -n '/^## 3/,/^## 8/s/^| \(.*\) |$/\1/p' "$ROOT/wire-format.md" |
    grep -v '^offset\|^reason\|^bit\|^type' | tr -d '\`*' |
    sed 's/ *| */\t/g' > rows
[ "$(wc -l < rows)" -gt 60 ] || fail "which rows? $(cat rows)"
# What fills several lines stands between T{ and T}.
sed -e ':a' -e '/T{$/{N;s/T{\n\(.*\)$/\1/;N;s/\nT}//;ba}' \
    "$man/vma-stream.5" > joined
while IFS= read -r row; do
    grep -qxF -- "$row" joined || fail "vma-stream.5 lacks: $row"
done < rows
