#!/usr/bin/env bash
# Brings what the tests need beyond Rust: ffmpeg, the codec of HEIC, the languages of the example receivers with Express and Flask, the
# libraries of Standard Webhooks and an ed25519 of others as second opinions on signatures, and Transcodely's own client.
# Does nothing where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/need.sh cc python3 venv ffmpeg heif-convert go node npm
# Without it all works, slower.
scripts/need.sh nasm || echo "pictures will be encoded without assembly" >&2

venv=target/venv
python_packages=(standardwebhooks svix cryptography flask==3.1.3 transcodely==0.3.13)
if ! "$venv/bin/python" -c 'import standardwebhooks, svix, cryptography, flask, transcodely' 2>/dev/null; then
  echo "installing ${python_packages[*]} into $venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}"
fi

# In that folder, unless that package is there.
node_packages() {
  if [ ! -d "$1/node_modules/$2" ]; then
    echo "installing $2 into $1/node_modules" >&2
    (cd "$1" && npm install --no-package-lock --no-audit --no-fund --loglevel=error >/dev/null)
  fi
}
node_packages examples/services express
node_packages examples/verifiers svix
