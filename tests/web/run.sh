#!/usr/bin/env bash
# Builds the page, weighs it, and passes it through its tests in a browser: bash tests/web/run.sh [SCENARIO...]
# Where the tools cannot be had, as without a network, it says so and skips; with ARTUNE_REQUIRE_WEB=1 it fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/artune/target}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
export ARTUNE_TOOLS="${ARTUNE_TOOLS:-$HOME/.cache/artune/tools}"
export PATH="$ARTUNE_TOOLS/bin:$PATH"

# What a visitor waits for, in bytes: the program as hosts send it, and the networks of the default settings.
most_program=6000000
most_weights=12000000

say() { printf '\n== %s\n' "$*"; }

say "the page: tools"
if ! bash tests/web/setup.sh; then
    echo "the tools that build and test the page could not be installed here"
    [ "${ARTUNE_REQUIRE_WEB:-0}" = 1 ] && exit 1
    echo "the page is neither built nor tested"
    exit 0
fi

say "the page: build"
trunk build --release

say "the page: sizes in bytes"
bytes() { cat "$@" | wc -c; }
row() { printf '%-44s %12s\n' "$@"; }
program=(dist/*_bg.wasm)
gzipped="$(gzip -9c "${program[0]}" | wc -c)"
weights="$(bytes dist/assets/small/*.safetensors)"
row "program" "$(bytes "${program[0]}")"
row "program, gzip -9" "$gzipped"
if command -v brotli >/dev/null; then row "program, brotli" "$(brotli -c "${program[0]}" | wc -c)"; fi
row "page, loader and icon" "$(bytes dist/*.html dist/*.css dist/*.js dist/assets/page/*)"
for asset in dist/assets/*.*; do row "${asset#dist/}" "$(bytes "$asset")"; done
row "assets/small, the default weights" "$weights"
within() { # what, bytes, most
    [ "$2" -le "$3" ] || { echo "$1 has $2 bytes, more than the $3 that it may have"; exit 1; }
}
within "the gzipped program" "$gzipped" "$most_program"
within "the default weights" "$weights" "$most_weights"

# One scenario compares the page with the program for a computer.
if [ $# = 0 ] || [[ " $* " = *" same-tokens "* ]]; then
    say "the page: the program for a computer, to compare with"
    cargo build --release --locked
fi

say "the page: in a browser"
node tests/web/run.mjs "$@"
