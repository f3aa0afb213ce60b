#!/usr/bin/env bash
# Brings what the tests need beyond Rust: ffmpeg, the languages of the example receivers with Express and Flask, the
# libraries of Standard Webhooks as a second opinion on signatures, and Transcodely's own client. Does nothing where all is
# there.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/need.sh cc python3 venv ffmpeg go node npm
# Without it all works, slower.
scripts/need.sh nasm || echo "pictures will be encoded without assembly" >&2

venv=target/venv
python_packages=(standardwebhooks svix flask==3.1.3 transcodely==0.3.13)
if ! "$venv/bin/python" -c 'import standardwebhooks, svix, flask, transcodely' 2>/dev/null; then
  echo "installing ${python_packages[*]} into $venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}"
fi

if [ ! -d examples/services/node_modules/express ]; then
  echo "installing express into examples/services/node_modules" >&2
  (cd examples/services && npm install --no-package-lock --no-audit --no-fund --loglevel=error >/dev/null)
fi
