#!/usr/bin/env bash
# Measures the release build and writes docs/benchmarks.md, which is what `reelhook bench` prints on stdout.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --bin reelhook
page=$(mktemp)
trap 'rm -f "$page"' EXIT
target/release/reelhook bench "$@" | tee "$page"
# Only a run that came to its end replaces the page.
install -m 644 "$page" docs/benchmarks.md
