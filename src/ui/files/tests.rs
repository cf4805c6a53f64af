use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::*;
use crate::session::{Event, Group, Sample, Sheet};

/// The menu with what there is to export, and what was asked for.
struct Stage {
    menu: Menu,
    gallery: Gallery,
    history: History,
    sheets: Sheets,
    config: RunConfig,
    wishes: Vec<FileWish>,
}

/// A window with the menu, whose dialogs choose what `choose` says.
fn open(choose: impl Fn(&Ask) -> Option<PathBuf> + 'static) -> Harness<'static, Stage> {
    let choose: Chooser = Box::new(move |ask| {
        Box::pin(std::future::ready(choose(ask).map(Some).ok_or(super::super::text::desktop::NO_DIALOG.into())))
    });
    let stage = Stage {
        menu: Menu { choose, ..Menu::default() },
        gallery: Gallery::default(),
        history: History::default(),
        sheets: Sheets::default(),
        config: RunConfig { beta: 0.5, ..RunConfig::default() },
        wishes: vec![],
    };
    Harness::builder().with_size([800.0, 600.0]).with_max_steps(40).with_context_setup(theme::apply).build_ui_state(
        |ui, stage: &mut Stage| {
            let Stage { menu, gallery, history, sheets, config, wishes } = stage;
            wishes.extend(menu.show(ui, FilesContext { gallery, history, sheets, config, ready: true }));
        },
        stage,
    )
}

fn fill(stage: &mut Stage) {
    let sample = Sample { rgb: vec![9; 12], advantage: Some((1.0, 0.5)), ..Sample::default() };
    let group = Group { samples: vec![sample; 2], ..Group::default() };
    stage.gallery = Gallery { update: 7, side: 2, groups: vec![group], ..Gallery::default() };
    stage.history.observe(&Event::Update { update: 7, metrics: [("reward".into(), 0.5)].into() });
    for update in [0, 7] {
        let pictures = vec![vec![update as u8; 12]; 2];
        stage.sheets.push(Sheet { update, side: 2, columns: 2, classes: vec![0; 2], pictures });
    }
}

fn press(window: &mut Harness<'_, Stage>, path: &[&str]) {
    for label in path {
        window.get_by_label(label).click();
        window.run_ok();
    }
}

/// Draws until something has been asked for.
fn wishes(window: &mut Harness<'_, Stage>) -> Vec<FileWish> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while window.state().wishes.is_empty() {
        assert!(Instant::now() < deadline, "nothing was asked for");
        window.step();
        std::thread::sleep(Duration::from_millis(2));
    }
    window.run_ok();
    std::mem::take(&mut window.state_mut().wishes)
}

#[test]
fn every_export_writes_its_file_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_owned();
    let mut window = open(move |ask| match ask {
        // Without its extension, as some systems give it.
        Ask::Save { name, .. } => Some(folder.join(name)),
        _ => None,
    });
    fill(window.state_mut());
    for (label, file) in [
        (text::PNG, "pictures-000007.png"),
        (text::CSV, "curves-000007.csv"),
        (text::JSONL, "curves-000007.jsonl"),
        (text::GIF, "samples-000007.gif"),
    ] {
        press(&mut window, &[text::FILE, text::EXPORT, label]);
        let said = wishes(&mut window);
        assert!(matches!(said.as_slice(), [FileWish::Say(line)] if line.ends_with(file)), "{said:?}");
        assert!(fs::metadata(dir.path().join(file)).unwrap().len() > 10);
    }
    assert!(image::open(dir.path().join("pictures-000007.png")).is_ok());
    assert!(image::open(dir.path().join("samples-000007.gif")).is_ok());
}

#[test]
fn what_cannot_be_exported_yet_cannot_be_pressed_and_what_cannot_be_written_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let mut window = open(move |_| Some(blocked.join("below.csv")));
    press(&mut window, &[text::FILE, text::EXPORT]);
    for label in [text::PNG, text::CSV, text::JSONL, text::GIF] {
        assert!(window.get_by_label(label).accesskit_node().is_disabled(), "{label}");
    }
    window.key_press(Key::Escape);
    window.run_ok();
    fill(window.state_mut());
    press(&mut window, &[text::FILE, text::EXPORT, text::CSV]);
    let said = wishes(&mut window);
    assert!(matches!(said.as_slice(), [FileWish::Complain(line)] if line.contains("not written")), "{said:?}");
}

#[test]
fn opening_recognises_what_was_chosen_and_comparing_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    fs::create_dir_all(run.join("checkpoints")).unwrap();
    fs::write(run.join("checkpoints/000001.safetensors"), "").unwrap();
    fs::write(run.join("metrics.jsonl"), "{\"update\":1,\"reward\":2.0}\n").unwrap();
    let file = dir.path().join("notes.txt");
    fs::write(&file, "").unwrap();
    let chosen = run.clone();
    let mut window = open(move |ask| Some(if matches!(ask, Ask::Folder) { chosen.clone() } else { file.clone() }));
    press(&mut window, &[text::FILE, text::OPEN_FOLDER]);
    let said = wishes(&mut window);
    assert!(
        matches!(said.as_slice(), [FileWish::Say(_), FileWish::Open(Opened::Run(path))] if *path == run),
        "{said:?}"
    );
    press(&mut window, &[text::FILE, text::OPEN_FILE]);
    let said = wishes(&mut window);
    assert!(matches!(said.as_slice(), [FileWish::Complain(line)] if line.contains("What can be")), "{said:?}");
    press(&mut window, &[text::FILE, text::COMPARE]);
    let said = wishes(&mut window);
    assert!(matches!(said.as_slice(), [FileWish::Say(_), FileWish::Compare(run)] if run.name == "run"), "{said:?}");
    press(&mut window, &[text::FILE, text::SAVE]);
    assert!(matches!(wishes(&mut window).as_slice(), [FileWish::Command(Command::Save)]));
}

#[test]
fn a_system_without_a_dialog_is_told() {
    let mut window = open(|_| None);
    press(&mut window, &[text::FILE, text::OPEN_FILE]);
    assert!(
        matches!(wishes(&mut window).as_slice(), [FileWish::Complain(line)] if line == super::super::text::desktop::NO_DIALOG)
    );
}

#[test]
fn a_link_is_copied_and_pasted_and_a_wrong_one_is_refused_in_the_field() {
    let mut window = open(|_| None);
    press(&mut window, &[text::FILE, text::COPY_LINK]);
    let said = wishes(&mut window);
    assert!(matches!(said.as_slice(), [FileWish::Say(line)] if line.contains("artune:?beta=0.5&seed=0")), "{said:?}");

    press(&mut window, &[text::FILE, text::PASTE]);
    assert!(window.get_by_label(text::PASTE_NOW).accesskit_node().is_disabled());
    window.event(egui::Event::Paste("artune:?betta=1".into()));
    window.run_ok();
    window.get_by_label_contains("did you mean");
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
    window.event(egui::Event::Paste("artune:?beta=0.25&seed=3".into()));
    window.run_ok();
    press(&mut window, &[text::PASTE_NOW]);
    let said = wishes(&mut window);
    let [FileWish::Say(_), FileWish::Open(Opened::Settings(config))] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!((config.beta, config.seed), (0.25, 3));
    assert!(window.query_by_label(text::PASTE_TITLE).is_none());
}

/// A file as the system drops it.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        fs::read(&self.0).map_err(|error| error.to_string())
    }
}

#[test]
fn a_file_over_the_window_says_what_dropping_it_does_and_does_it_when_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.toml");
    fs::write(&path, "beta = 0.25").unwrap();
    let mut window = open(|_| None);
    let held = egui::HoveredFile { path: Some(path.clone()), mime: String::new() };
    window.input_mut().hovered_files.push(held);
    let deadline = Instant::now() + Duration::from_secs(60);
    while window.query_by_label_contains("begin a new run with them").is_none() {
        assert!(Instant::now() < deadline, "nothing is said of it");
        window.step();
    }
    window.get_by_label(text::DROP);
    window.input_mut().hovered_files.clear();
    window.input_mut().dropped_files.push(Arc::new(Dropped(path)));
    let said = wishes(&mut window);
    assert!(matches!(said.as_slice(), [FileWish::Say(_), FileWish::Open(Opened::Settings(_))]), "{said:?}");
    assert!(window.query_by_label(text::DROP).is_none());
}
