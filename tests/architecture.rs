//! The layers of the house: what may name what. Arrows point down.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the ground up; a room may use those before it, and its own.
const ORDER: &[&[&str]] = &[
    &["config", "platform"],
    &["formats"],
    &["gpu"],
    &["model", "data"],
    &["metrics"],
    &["reward"],
    &["rl", "pretrain"],
    &["session"],
    &["ui", "cli"],
];

/// Faces see the session, the settings and the platform only; `artune devices` also lists adapters.
const FACES: &[(&str, &[&str])] =
    &[("ui", &["session", "config", "platform"]), ("cli", &["session", "config", "platform", "gpu", "ui"])];

fn sources() -> Vec<(String, PathBuf)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out)
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path)
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    walk(&root, &mut files);
    files
        .into_iter()
        .filter_map(|path| {
            let room = path.strip_prefix(&root).ok()?.components().next()?.as_os_str().to_str()?.to_owned();
            (!room.ends_with(".rs")).then_some((room, path))
        })
        .collect()
}

/// Rooms that a file names by `crate::room`, its tests left out.
fn named(path: &Path) -> Vec<String> {
    if path.ends_with("tests.rs") {
        return vec![];
    }
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.match_indices("crate::").map(|(at, _)| {
                line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
            })
        })
        .filter(|name| ORDER.concat().contains(&name.as_str()))
        .collect()
}

#[test]
fn arrows_point_down() {
    let level = |room: &str| {
        ORDER.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("a room without a level: {room}"))
    };
    let mut wrong = vec![];
    for (room, path) in sources() {
        for other in named(&path) {
            let allowed = FACES
                .iter()
                .find(|(face, _)| *face == room)
                .map_or(level(&other) <= level(&room), |(_, seen)| other == room || seen.contains(&other.as_str()));
            if !allowed {
                wrong.push(format!("{} names {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_window_names_egui_and_no_face_names_burn() {
    for (room, path) in sources() {
        let text = fs::read_to_string(&path).expect("a source file");
        let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let names = |word: &str| code.contains(&format!("{word}::"));
        assert!(room == "ui" || !(names("egui") || names("eframe")), "{} names egui", path.display());
        assert!(!(["ui", "cli"].contains(&room.as_str()) && names("burn")), "{} names burn", path.display());
    }
}

#[test]
fn only_the_platform_touches_files() {
    for (room, path) in sources().into_iter().filter(|(_, path)| !path.ends_with("tests.rs")) {
        let text = fs::read_to_string(&path).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let touches = code.lines().map(|line| line.split("//").next().unwrap_or_default()).any(|line| {
            ["std::fs", "File::open(", ".read_dir()", ".exists()", ".is_dir()", ".is_file()", "image::open("]
                .iter()
                .any(|word| line.contains(word))
                || line
                    .match_indices("fs::")
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
        assert!(room == "platform" || !touches, "{} goes around platform::files", path.display());
    }
}

#[test]
fn no_file_outgrows_its_reader() {
    for (_, path) in sources() {
        let lines = fs::read_to_string(&path).expect("a source file").lines().count();
        assert!(lines <= 450, "{} has {lines} lines", path.display());
    }
}
