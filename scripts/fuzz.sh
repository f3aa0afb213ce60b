#!/usr/bin/env bash
# Feeds the parsers with made-up bytes: every target for a minute, or one for as long as is said: scripts/fuzz.sh archive 600.
# Needs Rust and a C++ compiler, no nightly: the instrumentation is LLVM's own. What it learns stays in target/fuzz; a
# failing input is written to target/fuzz/TARGET/failures, and given to the target again by its path:
# scripts/fuzz.sh archive target/fuzz/archive/failures/crash-...
set -euo pipefail
cd "$(dirname "$0")/.."

all=(look archive picture range multipart path command publication signature net)
seconds=${2:-60}
targets=("${all[@]}")
[ $# -eq 0 ] || targets=("$1")

scripts/need.sh cc
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags="$flags -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="$flags" cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target-dir target/fuzz-build \
  --target "$host" ${CARGO_ARGS:-}

for target in "${targets[@]}"; do
  program=target/fuzz-build/$host/release/$target
  if [ -f "$seconds" ]; then
    "$program" "$seconds"
    continue
  fi
  learned=target/fuzz/$target/corpus
  failures=target/fuzz/$target/failures/
  mkdir -p "$learned" "$failures"
  echo "$target: $seconds s" >&2
  "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$failures" "$learned" "fuzz/seeds/$target" 2>"target/fuzz/$target/log" || {
    tail -n 40 "target/fuzz/$target/log" >&2
    exit 1
  }
  grep -aE 'stat::number_of_executed_units|^#[0-9]+.*DONE' "target/fuzz/$target/log" >&2
done
