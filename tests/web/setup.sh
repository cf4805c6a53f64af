#!/usr/bin/env bash
# Installs what building and testing the page needs: the wasm32 target, wasm-bindgen in the version of Cargo.lock,
# trunk, Chromium and what drives it. All but the target and Debian's packages goes to ~/.cache/artune/tools. Does only
# what is not done yet; the first time takes ten minutes or so on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools="${ARTUNE_TOOLS:-$HOME/.cache/artune/tools}"
# The newest version that the compiler of rust-toolchain.toml builds.
trunk=0.21.14
bindgen="$(awk -F'"' '/^name = "wasm-bindgen"$/ { found = 1 } found && /^version/ { print $2; exit }' Cargo.lock)"
mkdir -p "$tools"

began=$SECONDS
done_in() { echo "$1: $((SECONDS - began)) s"; began=$SECONDS; }

# Quick to build rather than quick to run; wasm-bindgen works through the whole program, and gets a little more.
install() { # package, version, level of optimisation, further arguments
    CARGO_TARGET_DIR="$tools/target" CARGO_PROFILE_RELEASE_OPT_LEVEL="$3" CARGO_PROFILE_RELEASE_DEBUG=0 \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        nice -n 15 cargo install --quiet "$1" --version "=$2" --root "$tools" "${@:4}"
    rm -rf "$tools/target"
    done_in "$1 $2"
}

has() { [ "$("$tools/bin/$1" --version 2>/dev/null)" = "$1 $2" ]; }

if ! rustup target list --installed | grep -qx wasm32-unknown-unknown; then
    rustup target add wasm32-unknown-unknown
    done_in "the wasm32 target"
fi
has wasm-bindgen "$bindgen" || install wasm-bindgen-cli "$bindgen" 1
has trunk "$trunk" || install trunk "$trunk" 0 --locked --no-default-features --features rustls

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
if [ "${#missing[@]}" -gt 0 ]; then
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        echo "please install ${missing[*]}: only root on Debian can be helped here" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    done_in "${missing[*]}"
fi

# The lock is copied last: it says that what it names is there.
if ! cmp -s tests/web/package-lock.json "$tools/node_modules/lock.json"; then
    cp tests/web/package.json tests/web/package-lock.json "$tools/"
    npm ci --silent --prefix "$tools"
    cp tests/web/package-lock.json "$tools/node_modules/lock.json"
    done_in playwright-core
fi
echo "tools are in $tools"
