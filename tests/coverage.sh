#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which lines of the programs have been run, by file, and together:
#
#   tests/coverage.sh OBJECTS
#
# OBJECTS is the folder of a build with --coverage, where the counters of all
# that has been run since then lie beside the objects.  A file without counters
# was never run.
set -euo pipefail
cd "$(dirname "$0")/.."

objects=$1
count() { # NOTES: "FILE COVERED LINES", for the source itself
    local folder
    folder=$(dirname "$1")
    gcov --no-output --object-directory "$folder" "$1" 2>/dev/null |
        awk -v quote="'" '
            /^File/ { split($0, part, quote); file = part[2] }
            /^Lines executed/ && file ~ /^vma-sink\/.*\.c$/ {
                sub(/.*:/, ""); sub(/% of /, " ");
                printf "%s %d %d\n", file, $1 * $2 / 100 + 0.5, $2
                file = ""
            }'
}

while IFS= read -r notes; do
    count "$notes"
done < <(find "$objects" -name '*.gcno' | LC_ALL=C sort) | awk '
    { printf "%5.1f %%  %5d  %s\n", 100 * $2 / $3, $3, $1
      covered += $2; lines += $3 }
    END { if (!lines) exit 1
          printf "%5.1f %%  %5d  all\n", 100 * covered / lines, lines }'
