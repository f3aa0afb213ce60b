#!/usr/bin/env bash
# Brings what the tests need beyond Rust: ffmpeg, the languages of the example receivers, and the libraries of
# Standard Webhooks as a second opinion on signatures. Does nothing where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/need.sh cc python3 venv ffmpeg go node

venv=target/venv
if ! "$venv/bin/python" -c 'import standardwebhooks, svix' 2>/dev/null; then
  echo "installing standardwebhooks and svix into $venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check standardwebhooks svix
fi
