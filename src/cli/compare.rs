//! `artune compare`: runs side by side, before and after, mean and spread over their seeds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::platform::files;
use crate::session::Metrics;

/// Arguments of `artune compare`.
#[derive(Clone, Debug, clap::Args)]
pub struct CompareArgs {
    /// Run folders. Those that differ only in a number at the end (full-0, full-1, …) count as seeds of one experiment.
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Figures to show, by name without `eval/`.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "reward/clip,reward/preference,fd,kid,precision,recall,diversity,class_accuracy"
    )]
    figures: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What the summary of one run says.
struct Run {
    before: Metrics,
    after: Metrics,
    protocol: String,
}

/// Runs `artune compare`.
///
/// # Errors
/// Where a folder holds no finished run.
pub fn run(args: &CompareArgs) -> Result<()> {
    let mut experiments: BTreeMap<String, Vec<Run>> = BTreeMap::new();
    for folder in &args.runs {
        experiments.entry(experiment(folder)).or_default().push(read(folder)?);
    }
    if args.json {
        let all: BTreeMap<&String, Value> = experiments.iter().map(|(name, runs)| (name, json(runs))).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        print!("{}", table(&experiments, &args.figures)?);
    }
    Ok(())
}

/// A folder without the seed at the end of its name.
fn experiment(folder: &Path) -> String {
    let path = folder.display().to_string();
    let path = path.trim_end_matches('/');
    path.rsplit_once('-').filter(|(_, seed)| seed.parse::<u64>().is_ok()).map_or(path, |(path, _)| path).to_string()
}

fn read(folder: &Path) -> Result<Run> {
    let path = folder.join("summary.json");
    let text =
        files::read_to_string(&path).with_context(|| format!("{} (a run writes it when it ends)", path.display()))?;
    let summary: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let part = |when: &str| -> Result<Metrics> {
        serde_json::from_value(summary[when]["metrics"].clone())
            .with_context(|| format!("{} has no evaluation {when} the run", folder.display()))
    };
    let protocol = summary["after"]["protocol"].as_str().unwrap_or_default().to_string();
    Ok(Run { before: part("before")?, after: part("after")?, protocol })
}

/// Mean and standard deviation (ddof = 1; 0 for a single run) of a figure.
fn spread(runs: &[Run], figure: &str, when: impl Fn(&Run) -> &Metrics) -> Option<(f64, f64)> {
    let values: Vec<f64> = runs.iter().filter_map(|run| when(run).get(figure).copied()).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    (n > 0.0).then(|| (mean, (squares / (n - 1.0).max(1.0)).sqrt()))
}

fn table(experiments: &BTreeMap<String, Vec<Run>>, figures: &[String]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "| experiment | seeds | {} |", figures.join(" | "))?;
    writeln!(text, "|---|---|{}", "---|".repeat(figures.len()))?;
    let row = |text: &mut String, name: &str, runs: &[Run], when: &dyn Fn(&Run) -> &Metrics| {
        let cells = figures.iter().map(|figure| match spread(runs, &format!("eval/{figure}"), when) {
            Some((mean, deviation)) => format!("{} ± {}", digits(mean), digits(deviation)),
            None => "–".into(),
        });
        writeln!(text, "| {name} | {} | {} |", runs.len(), cells.collect::<Vec<_>>().join(" | "))
    };
    for (name, runs) in experiments {
        row(&mut text, &format!("{name}: before"), runs, &|run| &run.before)?;
        row(&mut text, &format!("{name}: after"), runs, &|run| &run.after)?;
    }
    let mut protocols: Vec<&str> = experiments.values().flatten().map(|run| run.protocol.as_str()).collect();
    protocols.sort_unstable();
    protocols.dedup();
    writeln!(text, "\nMean ± standard deviation over seeds. Measured by:")?;
    protocols.iter().try_for_each(|protocol| writeln!(text, "- {protocol}"))?;
    Ok(text)
}

fn digits(x: f64) -> String {
    if x.abs() >= 10.0 { format!("{x:.1}") } else { format!("{x:.3}") }
}

fn json(runs: &[Run]) -> Value {
    let mut figures = serde_json::Map::new();
    for name in runs.iter().flat_map(|run| run.after.keys()) {
        let of = |when: fn(&Run) -> &Metrics| {
            spread(runs, name, when).map(|(mean, std)| serde_json::json!({ "mean": mean, "std": std }))
        };
        let both = serde_json::json!({ "before": of(|run| &run.before), "after": of(|run| &run.after) });
        figures.insert(name.clone(), both);
    }
    serde_json::json!({ "seeds": runs.len(), "figures": figures, "protocol": runs[0].protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_of_one_experiment_are_taken_together() {
        assert_eq!(experiment(Path::new("runs/instance-only-2/")), "runs/instance-only");
        assert_eq!(experiment(Path::new("mine")), "mine");
        let run = |fd: f64| Run {
            before: [("eval/fd".to_string(), 300.0)].into(),
            after: [("eval/fd".to_string(), fd)].into(),
            protocol: "by eye".into(),
        };
        let experiments = [("full".to_string(), vec![run(100.0), run(104.0)])].into();
        let text = table(&experiments, &["fd".into(), "kid".into()]).expect("a table");
        assert!(text.contains("| full: before | 2 | 300.0 ± 0.000 | – |"), "{text}");
        assert!(text.contains("| full: after | 2 | 102.0 ± 2.828 | – |") && text.contains("- by eye"), "{text}");
        assert_eq!(json(&experiments["full"])["figures"]["eval/fd"]["after"]["mean"], 102.0);
    }
}
