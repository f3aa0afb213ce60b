#!/usr/bin/env bash
# Prints the features of Cargo that this machine can build, separated by commas: with nasm 2.15 or later, assembly in the
# encoder of AVIF. Empty where there are none, which `--features` takes too.
set -euo pipefail

version=$(nasm -v 2>/dev/null | sed -n 's/^NASM version \([0-9.]*\).*/\1/p') || true
if [ -n "$version" ] && [ "$(printf '2.15\n%s\n' "$version" | sort -V | head -n 1)" = 2.15 ]; then
  echo reelhook-cli/nasm
fi
