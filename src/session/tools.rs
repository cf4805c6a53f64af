//! Jobs that need no running session: drawing, measuring, exporting, timing.

mod showing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::drawing::spread;
use super::evaluate::{Evaluation, Request};
use super::protocol::Options;
use super::record::Record;
use super::studio::Studio;
use crate::data::grid::{save_png, sheet_scale};
use crate::formats::write::Npz;
use crate::formats::{Dtype, Info};
use crate::gpu::choose;
use crate::metrics::Features;
use crate::model::weights::Stored;
use crate::platform::clock::Stopwatch;
use crate::platform::files;
use crate::platform::rng::Key;
use crate::reward::loo_fid::LooFid;
use crate::reward::moments::Moments;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::Phase;

/// Opens a studio for `options`, at the newest checkpoint of `run` where one is named.
fn open(options: &Options, run: Option<&Path>) -> Result<(Studio, String)> {
    let mut options = options.clone();
    if let Some(run) = run {
        anyhow::ensure!(
            files::is_dir(&Record::checkpoints(run)),
            "{} is no run folder: it has no checkpoints (`artune tune` makes them)",
            run.display()
        );
        options.out = Some(run.to_owned());
        options.resume = true;
    }
    let chosen = choose(&options.device)?;
    chosen.notice.iter().for_each(|n| eprintln!("{n}"));
    let studio = pollster::block_on(Studio::open(&options, &chosen.device))?;
    studio.notices.iter().for_each(|n| eprintln!("{n}"));
    Ok((studio, chosen.label))
}

/// How pictures are drawn for a sheet.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Class names, or `all`.
    pub classes: String,
    /// Pictures of each class.
    pub per_class: usize,
    /// Guidance; 1 is none.
    pub guidance: f64,
    /// Temperature.
    pub temperature: f64,
    /// Keep the likeliest tokens only; 0 keeps all.
    pub top_k: usize,
    /// Keep the likeliest tokens up to this probability; 1 keeps all.
    pub top_p: f64,
    /// Names the random numbers.
    pub seed: u64,
    /// What is drawn, and the file to write.
    pub target: Target,
}

/// What `artune sample` makes.
#[derive(Clone, Debug)]
pub enum Target {
    /// A PNG with one row a class.
    Sheet(PathBuf),
    /// What OpenAI's evaluator (guided-diffusion, `evaluations/evaluator.py`) reads: an npz with one array `arr_0` of bytes
    /// `[N, side, side, 3]`.
    Array {
        /// The file.
        path: PathBuf,
        /// Pictures in all, the classes in turn; `per_class` of each where it is `None`.
        samples: Option<usize>,
    },
}

/// Classes of which all are drawn on a sheet, and how many are where there are more.
const DRAWN: (usize, usize) = (64, 16);

/// Draws a sheet of pictures, one row a class, from the model of `run` or the untouched one; returns what each row is.
/// Or an array of any number of pictures, of which few are in memory at a time; `drawn` hears how many there are, and of how
/// many.
///
/// # Errors
/// Where the run has no checkpoint, a class does not exist, or the file cannot be written.
pub fn sample(
    options: &Options,
    run: Option<&Path>,
    sheet: &Sheet,
    drawn: &mut dyn FnMut(usize, usize),
) -> Result<Vec<String>> {
    let (studio, _) = open(options, run)?;
    let mut allowed = crate::rl::trainer::allowed_classes(&sheet.classes, &studio.pictures.class_names)?;
    let sampling = SamplingConfig {
        guidance: sheet.guidance,
        temperature: sheet.temperature,
        top_k: sheet.top_k,
        top_p: sheet.top_p,
        ..SamplingConfig::default()
    };
    match &sheet.target {
        Target::Sheet(path) => {
            if allowed.len() > DRAWN.0 && sheet.classes.trim() == "all" {
                eprintln!("{} of {} classes are drawn; name others with --classes", DRAWN.1, allowed.len());
                allowed = spread(allowed.len(), DRAWN.1).collect();
            }
            let classes: Vec<usize> = allowed.iter().flat_map(|&c| std::iter::repeat_n(c, sheet.per_class)).collect();
            let pictures = pollster::block_on(studio.sample(&classes, sheet.seed, &sampling))?;
            let side = studio.pictures.side;
            save_png(path, &pictures, side, sheet.per_class, sheet_scale(side))?;
        }
        Target::Array { path, samples } => {
            let n = samples.unwrap_or(allowed.len() * sheet.per_class);
            let classes: Vec<usize> = allowed.iter().copied().cycle().take(n).collect();
            let draw = |first, rows: &[usize]| pollster::block_on(studio.draw(first, rows, sheet.seed, &sampling));
            let size = (studio.pictures.side, studio.pass());
            array(path, &classes, size, draw, drawn).with_context(|| path.display().to_string())?;
        }
    }
    Ok(allowed.iter().map(|&class| studio.pictures.class_names[class].clone()).collect())
}

/// Writes what `draw` makes of `classes`, `pass` at a time, given the place of the first of them.
fn array(
    path: &Path,
    classes: &[usize],
    (side, pass): (usize, usize),
    mut draw: impl FnMut(usize, &[usize]) -> Result<Vec<Vec<u8>>>,
    drawn: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let mut file = Npz::new(files::create(path)?);
    file.array("arr_0", &Info { dtype: Dtype::U8, shape: vec![classes.len(), side, side, 3] })?;
    let mut done = 0;
    for rows in classes.chunks(pass) {
        for picture in draw(done, rows)? {
            file.write(&picture)?;
        }
        done += rows.len();
        drawn(done, classes.len());
    }
    Ok(file.finish()?.finish()?)
}

/// Measures the model of `run` or the untouched one.
///
/// # Errors
/// Where the run has no checkpoint or the device fails.
pub fn evaluate(options: &Options, run: Option<&Path>, request: &Request) -> Result<Evaluation> {
    let (mut studio, _) = open(options, run)?;
    pollster::block_on(studio.evaluate(request))
}

/// Figures of the small family's own networks on held-out names, and how they were measured.
///
/// # Errors
/// Where the device fails.
pub fn evaluate_networks(options: &Options) -> Result<(BTreeMap<String, f64>, String)> {
    let (studio, _) = open(options, None)?;
    let figures = pollster::block_on(studio.network_figures())?;
    let protocol = format!(
        "the family's own networks on {} pictures whose names no training saw (a tenth of each class's names), plain on \
         white, pictures {}, {}, seed 0; but the judge's training names: 512 pictures gently augmented, the ceiling of samples' class accuracy; \
         CLIP zero-shot against the {} class prompts; preference on pairs ordered by \
         construction",
        studio.split.held_out.len(),
        studio.origin.pictures,
        studio.trainer.family().origin(),
        studio.pictures.class_names.len(),
    );
    Ok((figures, protocol))
}

/// Writes the policy of `run` with LlamaGen's key names: as `torch.save({'model': …})` does where `path` ends in `.pt`,
/// `.pth` or `.ckpt`, else as safetensors. One tensor at a time is in memory.
///
/// # Errors
/// Where the run has no valid checkpoint or the file cannot be written.
pub fn export(options: &Options, run: &Path, half: bool, path: &Path) -> Result<()> {
    let (studio, _) = open(options, Some(run))?;
    let trainer = &studio.trainer;
    let metadata = [
        ("role", "prior".to_string()),
        ("architecture", serde_json::to_string(&trainer.family().config.gpt)?),
        ("updates", trainer.update().to_string()),
        ("run", trainer.config().to_toml()),
    ];
    let place = || path.display().to_string();
    let stored = Stored::new(trainer.policy(), half);
    let mut file = files::create(path).with_context(place)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("pt" | "pth" | "ckpt") => stored.torch(&mut file),
        _ => stored.safetensors(&mut file, metadata.map(|(key, value)| (key.to_string(), value)).into()),
    }
    .with_context(place)?;
    file.finish().with_context(place)
}

/// What a run with the networks that ship begins with, computed anew, as the file that ships.
///
/// # Errors
/// Where a network or the pictures do not load.
pub fn statistics() -> Result<Vec<u8>> {
    pollster::block_on(super::statistics::file())
}

/// One timed job.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// What was timed.
    pub what: String,
    /// Median seconds.
    pub seconds: f64,
    /// All runs, in order, the warm-up left out.
    pub runs: Vec<f64>,
    /// What was worked on, in words.
    pub size: String,
    /// Work per second in the unit named by `unit`.
    pub rate: f64,
    /// Unit of `rate`.
    pub unit: &'static str,
}

/// A report of [`bench()`].
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// The program's version.
    pub version: &'static str,
    /// What computed.
    pub device: String,
    /// Processor threads there are.
    pub threads: usize,
    /// Every timed job.
    pub timings: Vec<Timing>,
}

/// Times one update by its four phases and as a whole, LOO-FID in both forms, and on a graphics device both ways of
/// pictures to a texture.
///
/// # Errors
/// Where the device fails.
pub fn bench(options: &Options, repeats: usize) -> Result<BenchReport> {
    let (mut studio, device) = open(options, None)?;
    let config = studio.trainer.config().clone();
    let gpt = studio.trainer.family().config.gpt.clone();
    let rows = (config.prompts * config.num_generations) as usize;
    let tokens = (rows * gpt.block_size()) as f64;
    let mut by_phase: [Vec<f64>; 4] = Default::default();
    for round in 0..=repeats {
        let start = studio.trainer.update();
        let mut seconds = [0.0; 4];
        while studio.trainer.update() == start {
            let clock = Stopwatch::start();
            let advance = pollster::block_on(studio.trainer.advance())?;
            seconds[advance.phase as usize] += clock.seconds();
        }
        if round > 0 {
            by_phase.iter_mut().zip(seconds).for_each(|(all, s)| all.push(s));
        }
    }
    let whole = (0..repeats).map(|i| by_phase.iter().map(|phase| phase[i]).sum()).collect();
    let size = format!("{rows} sequences of {} tokens, guidance {}", gpt.block_size(), config.guidance);
    let mut timings: Vec<Timing> = Phase::ALL
        .map(Phase::name)
        .into_iter()
        .zip(by_phase)
        .map(|(what, runs)| timing(what, runs, size.clone(), tokens, "tokens/s"))
        .collect();
    timings.push(timing("update", whole, format!("{size}: all four phases"), tokens, "tokens/s"));
    for (what, n, d, full) in [("loo_fid/diagonal", 144, 2048, false), ("loo_fid/full", 144, 256, true)] {
        let mut runs = vec![];
        let features = |key: u64, n: usize| {
            let mut random = Key::new(key).stream();
            Features::new(n, d, (0..n * d).map(|_| f64::from(random.normal())).collect())
        };
        let fit = |f: &Features| if full { Moments::full(f) } else { Moments::diagonal(f) };
        let loo = LooFid::new(fit(&features(1, 2 * d)?)?, fit(&features(2, 2 * d)?)?, 0.5)?;
        let batch = features(3, n)?;
        for _ in 0..=repeats {
            let clock = Stopwatch::start();
            loo.rewards(&batch)?;
            runs.push(clock.seconds());
        }
        runs.remove(0);
        timings.push(timing(what, runs, format!("{n} samples of {d} features"), n as f64, "samples/s"));
    }
    timings.extend(showing::timings(&options.device, repeats)?);
    Ok(BenchReport {
        version: env!("CARGO_PKG_VERSION"),
        device,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        timings,
    })
}

fn timing(what: &str, runs: Vec<f64>, size: String, work: f64, unit: &'static str) -> Timing {
    let mut sorted = runs.clone();
    sorted.sort_by(f64::total_cmp);
    let seconds = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    Timing { what: what.into(), seconds, runs, size, rate: work / seconds, unit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::formats::Tensors;

    #[test]
    fn an_array_of_samples_reads_back_as_the_pictures_of_a_sheet_in_passes_of_any_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("samples.npz");
        let sheet = Sheet {
            classes: "all".into(),
            per_class: 1,
            guidance: 1.0,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 3,
            target: Target::Array { path: path.clone(), samples: Some(5) },
        };
        let config = RunConfig { model: "tiny".into(), rollout_batch: 2, ..RunConfig::default() };
        let options = Options { config, device: "cpu".into(), ..Options::default() };
        let mut heard = vec![];
        sample(&options, None, &sheet, &mut |done, of| heard.push((done, of))).unwrap();
        assert_eq!(heard, [(2, 5), (4, 5), (5, 5)]);
        let read = Tensors::open(files::source(&path).unwrap()).unwrap();
        let (studio, _) = open(&options, None).unwrap();
        let side = studio.pictures.side;
        let info = read.info("arr_0").unwrap();
        assert_eq!((info.dtype, &info.shape[..]), (Dtype::U8, &[5, side, side, 3][..]));
        let sampling = SamplingConfig { guidance: 1.0, ..SamplingConfig::default() };
        let pictures = pollster::block_on(studio.sample(&[0, 1, 2, 3, 4], 3, &sampling)).unwrap();
        assert_eq!(read.bytes("arr_0").unwrap(), pictures.concat());
    }
}
