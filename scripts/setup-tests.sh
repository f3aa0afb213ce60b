#!/usr/bin/env bash
# Brings what the tests need beyond Rust: ffmpeg, a newer one beside it, the codec of HEIC, the languages of the example
# receivers with Express and Flask, the programs that the papers of deploy/ are for, the libraries of Standard Webhooks and
# an ed25519 of others as second opinions on signatures, and Transcodely's own client.
# Does nothing where all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/need.sh cc python3 venv ffmpeg heif-convert go node npm
# Without it all works, slower.
scripts/need.sh nasm || echo "pictures will be encoded without assembly" >&2

scripts/models.sh --package
# What reads the operators' papers in deploy/. Unpacked and not installed where the machine has apt: the packages would
# start their servers.
scripts/need.sh systemd-analyze
papers=target/papers
unpack() { # program, package, what is taken of it
  if PATH="$PATH:$papers/usr/sbin:$papers/usr/bin:/usr/sbin" command -v "$1" >/dev/null; then
    return
  fi
  if ! command -v apt-get >/dev/null; then
    scripts/need.sh "$1"
    return
  fi
  echo "unpacking $1 into $papers" >&2
  place=$(mktemp -d)
  # The first try is with the lists that the machine has.
  if (cd "$place" && { apt-get download -qq "$2" || { apt-get update -qq && apt-get download -qq "$2"; }; }) >&2; then
    mkdir -p "$papers"
    dpkg-deb --fsys-tarfile "$place"/*.deb | tar -x -C "$papers" "${@:3}"
  else
    echo "error: $1 could not be had: apt-get download $2 failed. Install it by hand, then try again." >&2
    exit 1
  fi
  rm -r "$place"
}
unpack nginx nginx ./usr/sbin/nginx
unpack caddy caddy ./usr/bin/caddy
unpack prometheus prometheus ./usr/bin/prometheus ./usr/bin/promtool

venv=target/venv
python_packages=(standardwebhooks svix cryptography flask==3.1.3 transcodely==0.3.13 imageio-ffmpeg)
# The schema fuzzer, and what makes a typed client of the document and what that client stands on.
python_packages+=(schemathesis==4.32.5 openapi-python-client ruff httpx attrs python-dateutil)
wanted='import standardwebhooks, svix, cryptography, flask, transcodely, imageio_ffmpeg'
wanted+=', schemathesis, openapi_python_client, httpx, attr, dateutil'
if ! "$venv/bin/python" -c "$wanted" 2>/dev/null; then
  echo "installing ${python_packages[*]} into $venv" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}"
fi

# A newer ffmpeg beside that of the machine, where there is one for it: the media is made with both.
newer=$("$venv/bin/python" -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())' 2>/dev/null) || newer=
if [ -n "$newer" ]; then
  mkdir -p target/newer-ffmpeg
  ln -sf "$newer" target/newer-ffmpeg/ffmpeg
else
  echo "no newer ffmpeg for this machine; the media is made with its own alone" >&2
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
node_packages examples/typed/typescript openapi-fetch
