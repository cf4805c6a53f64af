#!/usr/bin/env bash
# Passes every check of the project on this machine, and installs what the checks need.
# Compiled dependencies are kept outside the checkout, so that only the first run is slow (about an hour on 2 cores).
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/artune/target}"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
# Mesa asks for it even where there is no session.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$(mktemp -d)}"

say() { printf '\n== %s\n' "$*"; }

# A software graphics card and an invisible display, for the GPU and window tests on a machine that has neither.
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    packages=(libvulkan1 mesa-vulkan-drivers xvfb xauth libxkbcommon-x11-0 libx11-xcb1 libxcursor1 libxi6 libxrandr2)
    missing=()
    for package in "${packages[@]}"; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        say "installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
    fi
    # With a software card installed there is always an adapter: tests that need one must not skip themselves.
    export ARTUNE_REQUIRE_GPU=1
else
    say "not Debian as root: nothing is installed; without a Vulkan driver the GPU tests skip themselves"
fi

say "formatting"
cargo fmt --check

say "tests"
cargo test --release --locked

if command -v xvfb-run >/dev/null; then
    say "the window, on an invisible display"
    folder="$(mktemp -d)"
    timeout 300 xvfb-run -a -s "-screen 0 1280x800x24" "$CARGO_TARGET_DIR/release/artune" --device cpu --updates 2 \
        --set model=tiny --set eval_every=0 --out "$folder/run" --screenshot "$folder/window.png"
    test -s "$folder/window.png" && test -s "$folder/run/summary.json"
    echo "2 updates in the window, picture saved"
    rm -r "$folder"
fi

say "lints"
cargo clippy --release --locked --all-targets -- -D warnings

say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps --quiet

# The page is the same program for a second target. Building all of it takes half an hour more on two cores: a machine
# that has not done so yet, and whose time is short, only checks that it compiles.
rustup target list --installed | grep -qx wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown
say "lints, for the page"
cargo clippy --profile page --locked --target wasm32-unknown-unknown -- -D warnings

if [ "${CI:-}" = true ] && ! [ -e "$CARGO_TARGET_DIR/wasm32-unknown-unknown/page/artune.wasm" ]; then
    say "the page has never been built here, which would take too long now: it compiles, and is neither weighed nor tested"
else
    bash tests/web/run.sh
fi

say "all checks passed"
