#!/bin/sh
# Counts the requests and the different pages among them.
set -eu
requests=$(wc -l < "$LIMINAL_INPUT_SORTED")
pages=$(wc -l < "$LIMINAL_INPUT_COUNTS")
printf '{"requests": %d, "pages": %d}\n' "$requests" "$pages" > "$LIMINAL_OUTPUT_METRICS"
