#!/usr/bin/env bash
# Writes the generated pages anew: docs/settings.md from the program, docs/states.md from the state tables, the refusals in
# docs/errors.md from the server's own page of errors, and docs/media.md from what the tests measured when they last ran.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --package reelhook-cli --features failpoints
target/debug/reelhook settings >docs/settings.md
python3 scripts/check-docs.py --write
python3 scripts/media-table.py
