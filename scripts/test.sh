#!/usr/bin/env bash
# Runs every test: Rust, the examples in the docs of Rust, the example receivers, the signatures as published libraries see
# them, the five services from outside, the table of real inputs, the documentation.
#
#   scripts/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

features=(--workspace --features "reelhook-cli/failpoints,$(scripts/features.sh)")

# The rows of docs/media.md are those that this run leaves.
rm -rf target/tmp/verdicts

if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run "${features[@]}"
else
  echo "cargo-nextest is not installed; using cargo test. (cargo install cargo-nextest --locked)" >&2
  cargo test "${features[@]}" --lib --bins --tests
fi
# The media once more with the newer ffmpeg that scripts/setup-tests.sh found, and the ffprobe of the machine.
if [ -x target/newer-ffmpeg/ffmpeg ]; then
  echo "once more with $(target/newer-ffmpeg/ffmpeg -version | head -n 1)"
  (
    export PATH="$PWD/target/newer-ffmpeg:$PATH"
    if cargo nextest --version >/dev/null 2>&1; then
      cargo nextest run "${features[@]}" -E 'binary_id(reelhook-media::media)'
    else
      cargo test "${features[@]}" -p reelhook-media --test media
    fi
  )
fi
cargo test "${features[@]}" --doc
target/venv/bin/python examples/test_receivers.py --require-all
target/venv/bin/python examples/test_verifiers.py --require-all
target/venv/bin/python examples/test_services.py --require-all
target/venv/bin/python examples/test_published_clients.py --require-all
target/venv/bin/python scripts/media-table.py --check
target/venv/bin/python scripts/check-docs.py --require-binary
