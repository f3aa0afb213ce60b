#!/usr/bin/env bash
# Measures the release build and puts what was measured in place on docs/benchmarks.md; its other sections stay.
# `scripts/bench.sh delivery --mode latency` measures a part.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --bin reelhook --features "$(scripts/features.sh)"
scripts/models.sh target/release/reelhook
# The page is written once all was measured.
REELHOOK_MEDIA_MODELS=target/models target/release/reelhook bench --page docs/benchmarks.md "$@"
