//! `artune presets`: ready experiments.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Map, Value};

use super::devices::wrapped;
use crate::config::{PARAMS, PRESETS, Preset};

/// List the presets: what each shows and which settings it changes.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Args {
    /// Write JSON for scripts
    #[arg(long)]
    pub json: bool,
    /// List every parameter instead: what it does, its values, its default
    #[arg(long)]
    pub parameters: bool,
}

/// Writes the list to standard output.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let text = if args.parameters {
        if args.json { serde_json::to_string_pretty(PARAMS)? + "\n" } else { parameters() }
    } else if args.json {
        let all: Vec<Value> = PRESETS.iter().map(json).collect();
        serde_json::to_string_pretty(&all)? + "\n"
    } else {
        table()?
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Every parameter with its permitted values, default and meaning.
pub fn parameters() -> String {
    let mut text =
        String::from("Parameters (--set KEY=VALUE, run.toml); those marked * may be turned while running:\n");
    let mut group = "";
    for param in PARAMS {
        if param.group != group {
            group = param.group;
            text += &format!("\n{group}\n");
        }
        let unit = if param.unit.is_empty() { String::new() } else { format!(" {}", param.unit) };
        let live = if param.live { "*" } else { "" };
        text += &format!("  {}{live} = {}{unit}  ({})\n", param.name, param.default, param.kind);
        for line in wrapped(param.doc, 100) {
            text += &format!("      {line}\n");
        }
    }
    text
}

fn json(preset: &Preset) -> Value {
    let set: Map<String, Value> = preset.set.iter().map(|(name, value)| (name.to_string(), (*value).into())).collect();
    serde_json::json!({ "name": preset.name, "sentence": preset.sentence, "source": preset.source, "set": set })
}

fn table() -> Result<String, std::fmt::Error> {
    let width = PRESETS.iter().map(|p| p.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for preset in PRESETS {
        writeln!(text, "{:<width$}  {}", preset.name, preset.sentence)?;
        writeln!(text, "{:width$}  source: {}", "", preset.source)?;
        let set: Vec<String> = preset.set.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let set = if set.is_empty() { "nothing: these are the defaults".to_owned() } else { set.join(" ") };
        for (i, line) in wrapped(&set, 90).iter().enumerate() {
            writeln!(text, "{:width$}  {} {line}", "", if i == 0 { "sets:" } else { "     " })?;
        }
        writeln!(text)?;
    }
    writeln!(text, "Use one with: artune tune --preset NAME")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_listed_with_its_default() {
        let text = parameters();
        for param in PARAMS {
            assert!(text.contains(&format!("{}", param.default)) && text.contains(param.name), "{}", param.name);
        }
    }

    #[test]
    fn every_preset_is_listed_with_its_settings() {
        let text = table().unwrap();
        for preset in PRESETS {
            assert!(text.contains(preset.sentence) && json(preset)["set"].is_object(), "{text}");
            for (name, value) in preset.set {
                assert!(text.contains(&format!("{name}={value}")), "{text}");
            }
        }
    }
}
