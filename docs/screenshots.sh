#!/usr/bin/env bash
# Makes the pictures of the window in docs/images from a real run: a few updates first, then the window on top of them.
# Wants an X display or Xvfb. About 10 minutes on 2 cores without a GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release
artune="$(realpath "${CARGO_TARGET_DIR:-target}/release/artune")"
images="$(realpath docs/images)"
# Run folders have short names: they stand in the log that is pictured.
run="$(mktemp -d)"
trap 'rm -rf "$run"' EXIT
cd "$run"
# What the window remembers of its last size and layout stays out of the pictures.
export HOME="$run" XDG_DATA_HOME="$run/data"

"$artune" tune --device cpu --updates 12 --set eval_every=6 --set eval_samples=64 --set sample_every=4 \
    --out base

shoot() { # name pane theme size [further arguments]
    local name="$1" pane="$2" theme="$3" size="$4" copy="runs/$1"
    shift 4
    mkdir -p runs
    cp -r base "$copy"
    local display=()
    [ -n "${DISPLAY:-}" ] || display=(xvfb-run -a -s "-screen 0 ${size}x24")
    timeout 300 "${display[@]}" "$artune" --device cpu --resume --out "$copy" --updates 14 --set eval_every=0 \
        --screenshot "$images/$name.png" --show "$pane" --theme "$theme" --size "$size" "$@"
}

shoot window pictures dark 1280x800 --after 13
shoot window-light pictures light 1280x800 --after 13
shoot window-small pictures dark 1024x768 --after 13
shoot feature-space "feature space" dark 1280x800
shoot inspector inspector dark 1280x800
shoot inspector-light inspector light 1024x768
shoot tour learn light 1280x800 --after 13
shoot rewards rewards dark 1280x800
shoot diagnosis diagnosis dark 1024x768
shoot device device light 1024x768
