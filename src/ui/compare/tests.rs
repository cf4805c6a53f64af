use std::fs;
use std::path::Path;

use egui_kittest::{Harness, kittest::Queryable};

use super::*;
use crate::session::{Event, compare::read, export};

/// What the pane is shown with.
struct Stage {
    pane: Pane,
    config: RunConfig,
    history: History,
    sheets: Sheets,
    asked: bool,
}

fn history(fd: f64, reward: f64) -> History {
    let mut history = History::default();
    let metrics = [("eval/fd".to_string(), fd)].into();
    history.observe(&Event::Evaluation { update: 0, metrics, protocol: "N = 8, seed 0".into() });
    history.observe(&Event::Update { update: 20, metrics: [("reward".into(), reward)].into() });
    history
}

fn drawn(update: u64, shade: usize) -> Drawn {
    let picture = |i: usize| (0..32 * 32 * 3).map(|k| ((k / 96 * 6 + k % 7 * shade + i * 31) % 256) as u8).collect();
    Drawn { update, side: 32, columns: 16, classes: vec![0; 32], pictures: (0..32).map(picture).collect() }
}

/// A run folder as a run leaves it.
fn folder(path: &Path, config: &RunConfig, history: &History) {
    fs::create_dir_all(path.join("samples")).unwrap();
    fs::write(path.join("run.toml"), config.to_toml()).unwrap();
    fs::write(path.join("metrics.jsonl"), export::jsonl(history).unwrap()).unwrap();
    for update in [0, 10, 20] {
        let Raster { rgb, width, height } = drawn(update, 3).raster();
        let path = path.join(format!("samples/{update:06}.png"));
        image::save_buffer(path, &rgb, width as u32, height as u32, image::ExtendedColorType::Rgb8).unwrap();
    }
}

fn open(size: [f32; 2]) -> Harness<'static, Stage> {
    let mut sheets = Sheets::default();
    [0, 20].into_iter().for_each(|update| sheets.push(drawn(update, 11)));
    let (config, history) = (RunConfig::default(), history(250.0, 0.5));
    let stage = Stage { pane: Pane::default(), config, history, sheets, asked: false };
    Harness::builder().with_size(size).with_max_steps(40).with_context_setup(theme::apply).build_ui_state(
        |ui, stage: &mut Stage| {
            let Stage { pane, config, history, sheets, asked } = stage;
            *asked |= pane.show(ui, Current { config, history, protocol: "N = 8, seed 0", sheets });
        },
        stage,
    )
}

/// Draws until every sheet has been read.
fn settle(pane: &mut Harness<'_, Stage>) {
    for _ in 0..2000 {
        pane.step();
        if pane.state().pane.runs.iter().all(|run| run.sheet.reading.is_none()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    pane.run_ok();
}

#[test]
fn a_run_folder_stands_beside_the_run_at_hand_with_what_differs_and_the_best_marked() {
    let dir = tempfile::tempdir().unwrap();
    let other = RunConfig { beta: 0.25, ..RunConfig::default() };
    folder(&dir.path().join("other"), &other, &history(300.0, 0.75));

    let mut pane = open([700.0, 700.0]);
    pane.run_ok();
    pane.get_by_label(words::EMPTY);
    pane.get_by_label(words::ADD).click();
    pane.run_ok();
    assert!(pane.state().asked);

    let run = read(&dir.path().join("other")).unwrap();
    pane.state_mut().pane.add(run).unwrap();
    settle(&mut pane);
    assert_eq!(pane.query_all_by_label("other").count(), 3, "over both tables and its sheet");
    pane.get_by_label("Beta");
    pane.get_by_label("0.25");
    assert!(pane.query_by_label("Learning rate").is_none(), "it is the same in both");
    assert_eq!(pane.query_all_by_label(words::BEST).count(), 2, "reward and distance");
    pane.get_by_label("Samples of This run, after update 20");
    pane.get_by_label("Samples of other, after update 20");

    pane.get_by_label(words::SLIDER).focus();
    pane.run_ok();
    pane.key_press(egui::Key::ArrowLeft);
    settle(&mut pane);
    pane.get_by_label("Samples of This run, the untouched model");
    pane.get_by_label("Samples of other, the untouched model");

    pane.get_by_label("Remove other from the comparison").click();
    pane.run_ok();
    pane.get_by_label(words::EMPTY);
}

#[test]
fn three_others_are_enough_and_one_opened_again_is_read_anew() {
    let mut pane = Pane::default();
    let run = |name: &str| RunSummary { path: name.into(), ..RunSummary::default() };
    ["a", "b", "a", "c"].into_iter().for_each(|name| pane.add(run(name)).unwrap());
    assert_eq!(pane.runs().count(), 3);
    assert_eq!(pane.add(run("d")), Err(words::FULL));
    pane.add(run("b")).unwrap();
}
