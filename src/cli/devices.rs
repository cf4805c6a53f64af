//! `artune devices`: what can compute here.

use std::fmt::Write as _;
use std::io::Write as _;

use crate::gpu::{AdapterInfo, adapters, describe};

/// List the devices that can compute: the CPU and every graphics adapter.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Args {
    /// Write JSON for scripts
    #[arg(long)]
    pub json: bool,
}

/// Writes the list to standard output.
///
/// # Errors
/// Where standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let (adapters, cpu, auto) = (adapters(), describe("cpu")?, describe("auto")?);
    let text = if args.json {
        let value = serde_json::json!({ "cpu": cpu, "auto": auto, "adapters": adapters });
        serde_json::to_string_pretty(&value)? + "\n"
    } else {
        table(&adapters, &cpu, &auto)?
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn table(adapters: &[AdapterInfo], cpu: &str, auto: &str) -> Result<String, std::fmt::Error> {
    let mut rows = vec![["DEVICE", "NAME", "KIND", "API", "VENDOR", "DRIVER"].map(str::to_owned)];
    rows.push(["cpu", cpu, "CPU", "-", "-", "-"].map(str::to_owned));
    rows.extend(adapters.iter().map(|a| {
        [a.index.to_string(), a.name.clone(), a.kind.to_string(), a.backend.clone(), a.vendor.clone(), a.driver.clone()]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(text, "{}", cells.join("  ").trim_end())?;
    }
    for a in adapters {
        let limits = a.limits;
        writeln!(text, "\n{}: {}", a.index, a.name)?;
        writeln!(text, "  largest buffer         {}", size(limits.max_buffer))?;
        writeln!(text, "  largest binding        {}", size(limits.max_binding))?;
        writeln!(text, "  workgroup memory       {}", size(limits.workgroup_memory.into()))?;
        writeln!(text, "  workgroup invocations  {}", limits.workgroup_invocations)?;
        for (i, line) in wrapped(&a.features.join(" "), 90).iter().enumerate() {
            writeln!(text, "  {:<23}{line}", if i == 0 { "features" } else { "" })?;
        }
    }
    writeln!(text, "\n--device auto takes: {auto}")?;
    Ok(text)
}

/// Bytes in the largest binary unit that leaves at least 1.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = bytes.checked_ilog2().map_or(0, |log| log as usize / 10).min(units.len() - 1);
    let value = bytes as f64 / (1_u64 << (10 * power)) as f64;
    let digits = usize::from(value.fract() != 0.0 && value < 100.0);
    format!("{value:.digits$} {}", units[power])
}

/// Words in lines of at most `width` characters.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_the_cpu_and_what_auto_takes() {
        let text = table(&adapters(), "CPU (2 threads)", "CPU (2 threads)").unwrap();
        assert!(text.starts_with("DEVICE") && text.contains("\ncpu "), "{text}");
        assert!(text.ends_with("--device auto takes: CPU (2 threads)\n"), "{text}");
        for adapter in adapters() {
            assert!(text.contains(&adapter.name), "{text}");
        }
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        let sizes = [0, 32 << 10, 128 << 20, 3 << 29, u64::MAX].map(size);
        assert_eq!(sizes, ["0 B", "32 KiB", "128 MiB", "1.5 GiB", "16 EiB"]);
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }
}
