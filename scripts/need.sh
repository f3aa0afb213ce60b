#!/usr/bin/env bash
# Installs the programs that are missing, with the machine's own package manager. Asks nothing.
#
#   scripts/need.sh ffmpeg go
#
# As root it needs no sudo; otherwise it uses sudo where that asks for no password. Where it cannot install, it says
# what to install by hand and fails.
set -euo pipefail

# The package that holds a program: apt, dnf, brew.
package_of() {
  case "$1:$2" in
    ffmpeg:dnf) echo ffmpeg-free ;;
    ffmpeg:*) echo ffmpeg ;;
    go:apt) echo golang-go ;;
    go:dnf) echo golang ;;
    go:*) echo go ;;
    node:brew) echo node ;;
    node:*) echo nodejs ;;
    npm:dnf) echo nodejs-npm ;;
    npm:brew) echo node ;;
    cc:apt) echo build-essential ;;
    cc:*) echo gcc ;;
    heif-convert:apt) echo libheif-examples ;;
    heif-convert:dnf) echo libheif-tools ;;
    heif-convert:*) echo libheif ;;
    venv:apt) echo python3-venv ;;
    venv:*) echo python3 ;;
    systemd-analyze:*) echo systemd ;;
    *) echo "$1" ;;
  esac
}

is_here() {
  case "$1" in
    # A module, not a program: Debian splits it from Python.
    venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    # Newer versions call it by another name. Tests also need its encoder, which comes with it.
    heif-convert) { command -v heif-convert || command -v heif-dec; } >/dev/null ;;
    ffmpeg) command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@"
  fi
}

missing=()
for program in "$@"; do
  is_here "$program" || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0

manager=
for candidate in apt-get dnf brew; do
  if command -v "$candidate" >/dev/null; then
    manager=${candidate%-get}
    break
  fi
done

packages=()
for program in "${missing[@]}"; do
  packages+=("$(package_of "$program" "$manager")")
done

echo "installing ${packages[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
case "$manager" in
  apt)
    by_hand="sudo apt-get install ${packages[*]}"
    { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null; } </dev/null || true
    ;;
  dnf)
    by_hand="sudo dnf install ${packages[*]}"
    as_root dnf install -y -q "${packages[@]}" </dev/null || true
    ;;
  brew)
    by_hand="brew install ${packages[*]}"
    NONINTERACTIVE=1 brew install --quiet "${packages[@]}" </dev/null || true
    ;;
  *)
    by_hand="your package manager: ${packages[*]}"
    ;;
esac

for program in "${missing[@]}"; do
  if ! is_here "$program"; then
    echo "error: $program could not be installed. Install it by hand ($by_hand), then try again." >&2
    exit 1
  fi
done
