#!/usr/bin/env bash
# Writes the generated pages anew: docs/settings.md from the program, docs/states.md from the state tables that the
# tests of `domain` hold still, and the refusals in docs/errors.md from the server's own page.
set -euo pipefail
cd "$(dirname "$0")/.."

# The text of a snapshot, without its head.
snapshot() {
  awk 'body { print } /^---$/ && ++rules == 2 { body = 1 }' "crates/domain/src/snapshots/reelhook_domain__$1.snap"
}

cargo build --quiet --package reelhook-cli --features failpoints
target/debug/reelhook settings >docs/settings.md

table=tests__the_state_table_is_the_documented_one
cat >docs/states.md <<PAGE
# States

Each table reads: in the state of the row, the signal of the column leads to the state in the cell. Where the cell is empty the
signal is refused. \`make docs\` writes this page from the code that decides.

## Jobs

$(snapshot "job__$table")

## Deliveries

$(snapshot "delivery__$table")
PAGE

python3 scripts/check-docs.py --write
