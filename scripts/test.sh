#!/usr/bin/env bash
# Runs every test: Rust, the examples in the docs of Rust, the example receivers, the signatures as published libraries see
# them, the five services from outside, typed clients made of the document, the server held to its document by a fuzzer, the
# papers of deploy/ held to by the programs that they are for, the table of real inputs, the documentation.
#
#   scripts/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

features=(--workspace --features "reelhook-cli/failpoints,$(scripts/features.sh)")

# Tests cut people out with the model that the program installs. Built as the tests are, so that nothing is built twice.
cargo build "${features[@]}" --tests
scripts/models.sh target/debug/reelhook

# The rows of docs/media.md are those that this run leaves.
rm -rf target/tmp/verdicts

if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run "${features[@]}"
else
  echo "cargo-nextest is not installed; using cargo test. (cargo install cargo-nextest --locked)" >&2
  cargo test "${features[@]}" --lib --bins --tests
fi
# The media once more with the newer ffmpeg that scripts/setup-tests.sh found, and the ffprobe of the machine. Left out
# there: five older tests that make their inputs with the ffmpeg in PATH and rely on how 5.1 makes them (where the picture
# of an mkv begins beside a sound, a tag that turns a picture, the tags of a drawn one).
left_out='a_proxy_of_a_part_holds|colours_are_carried_and_high|a_thumbnail_shows_the_frame_of_its_second'
left_out+='|rotation_and_oblong_pixels|trim_is_exact_to_the_frame'
if [ -x target/newer-ffmpeg/ffmpeg ]; then
  echo "once more with $(target/newer-ffmpeg/ffmpeg -version | head -n 1), without the tests $left_out"
  (
    export PATH="$PWD/target/newer-ffmpeg:$PATH"
    if cargo nextest --version >/dev/null 2>&1; then
      cargo nextest run "${features[@]}" -E "binary_id(reelhook-media::media) and not test(/$left_out/)"
    else
      cargo test "${features[@]}" -p reelhook-media --test media field::
    fi
  )
fi
cargo test "${features[@]}" --doc
target/venv/bin/python examples/test_receivers.py --require-all
target/venv/bin/python examples/test_verifiers.py --require-all
target/venv/bin/python examples/test_services.py --require-all
target/venv/bin/python examples/test_published_clients.py --require-all
target/venv/bin/python examples/test_typed_clients.py
target/venv/bin/python scripts/check-contract.py
target/venv/bin/python scripts/check-deploy.py
target/venv/bin/python scripts/media-table.py --check
target/venv/bin/python scripts/check-docs.py --require-binary --run
