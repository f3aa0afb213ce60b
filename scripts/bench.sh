#!/usr/bin/env bash
# Measures the release build and writes docs/benchmarks.md.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --bin reelhook
target/release/reelhook bench "$@"
