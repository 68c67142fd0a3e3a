#!/bin/sh
# Writes the first lines of a ranking as a Markdown table: report.sh RANKED TOP REPORT
set -eu
{
    printf '# %s\n\n| requests | page |\n|---:|---|\n' "$TITLE"
    head -n "$2" "$1" | while read -r count page; do
        printf '| %s | %s |\n' "$count" "$page"
    done
} > "$3"
cat "$3"
