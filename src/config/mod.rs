//! Settings: one table of parameters drives TOML files, `--set key=value`, sliders and links.
//!
//! Each parameter is one entry of the table in [`params`]; from it come the fields of [`RunConfig`], their defaults,
//! and [`PARAMS`], which says of each its meaning, unit, range and whether it may be turned while a run is going.

pub mod lesson;
pub mod link;
pub mod networks;
pub mod params;
pub mod presets;
mod share;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

pub use lesson::Lesson;
pub use link::Link;
pub use params::{PARAMS, RunConfig};
pub use presets::{PRESETS, Preset};

/// The value of a parameter, whatever its type.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A real number.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// On or off.
    Bool(bool),
    /// Words, or one of a list of choices.
    Text(Cow<'static, str>),
}

impl fmt::Display for Value {
    /// Writes the shortest text that reads back as the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(x) if *x != 0.0 && !(1e-4..1e7).contains(&x.abs()) => write!(f, "{x:e}"),
            Self::Float(x) => write!(f, "{x}"),
            Self::Int(x) => write!(f, "{x}"),
            Self::Bool(x) => write!(f, "{x}"),
            Self::Text(x) => f.write_str(x),
        }
    }
}

/// What values a parameter takes, and how a slider shows them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A real number from `min` to `max`, both allowed.
    Float {
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
        /// Whether a slider should be logarithmic.
        log: bool,
    },
    /// A whole number from `min` to `max`, both allowed.
    Int {
        /// Smallest value.
        min: i64,
        /// Largest value.
        max: i64,
    },
    /// On or off.
    Bool,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any words, at least one.
    Text,
}

impl fmt::Display for Kind {
    /// The permitted values in words, as an error or a help text shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float { min, max, .. } => write!(f, "a number from {} to {}", Value::Float(*min), Value::Float(*max)),
            Self::Int { min, max } if *max == i64::MAX => write!(f, "a whole number from {min} on"),
            Self::Int { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Bool => f.write_str("true or false"),
            Self::Choice(names) => write!(f, "one of {}", names.join(", ")),
            Self::Text => f.write_str("words"),
        }
    }
}

/// One entry of the table of parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Param {
    /// Name of the field of [`RunConfig`], and key in files and links.
    pub name: &'static str,
    /// What it does, in a sentence or two: a tooltip.
    pub doc: &'static str,
    /// Unit, or the empty text for a pure number.
    pub unit: &'static str,
    /// Heading under which it is shown.
    pub group: &'static str,
    /// Permitted values.
    pub kind: Kind,
    /// Whether it may be turned while a run is going; it then counts from the next piece of work on.
    pub live: bool,
    /// Value in [`RunConfig::default`].
    pub default: Value,
}

impl Param {
    /// The entry of that name.
    ///
    /// # Errors
    /// [`ConfigError::Unknown`], with the nearest name there is.
    pub fn find(name: &str) -> Result<&'static Self, ConfigError> {
        PARAMS
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| ConfigError::Unknown { name: name.into(), hint: hint(name, PARAMS.iter().map(|p| p.name)) })
    }

    /// Reads a value from text as it stands in `--set` or a link.
    ///
    /// # Errors
    /// [`ConfigError::Type`] where the text is of another type, [`ConfigError::Range`] where it is out of range.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let text = text.trim();
        let value = match self.kind {
            Kind::Float { .. } => text.parse().ok().map(Value::Float),
            Kind::Int { .. } => text.parse().ok().map(Value::Int),
            Kind::Bool => match text {
                "true" | "on" | "yes" | "1" => Some(Value::Bool(true)),
                "false" | "off" | "no" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Kind::Choice(_) | Kind::Text => Some(Value::Text(text.to_owned().into())),
        };
        self.check(value.ok_or_else(|| self.wrong_type(text))?)
    }

    /// A value of the right type and in range: a whole number also serves as a real one.
    ///
    /// # Errors
    /// [`ConfigError::Type`] or [`ConfigError::Range`].
    pub fn check(&self, value: Value) -> Result<Value, ConfigError> {
        let value = match (self.kind, value) {
            (Kind::Float { .. }, Value::Int(x)) => Value::Float(x as f64),
            (_, value) => value,
        };
        let inside = match (self.kind, &value) {
            (Kind::Float { min, max, .. }, Value::Float(x)) => (min..=max).contains(x),
            (Kind::Int { min, max }, Value::Int(x)) => (min..=max).contains(x),
            (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Choice(names), Value::Text(x)) => names.contains(&x.as_ref()),
            (Kind::Text, Value::Text(x)) => !x.is_empty() && x.trim() == x,
            _ => return Err(self.wrong_type(&value.to_string())),
        };
        if inside {
            Ok(value)
        } else {
            Err(ConfigError::Range { name: self.name, value: value.to_string(), range: self.kind.to_string() })
        }
    }

    fn wrong_type(&self, got: &str) -> ConfigError {
        ConfigError::Type { name: self.name, got: got.into(), expected: self.kind.to_string() }
    }
}

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No parameter has this name.
    #[error("there is no parameter `{name}`{hint}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest name, as `; did you mean ...?`, or nothing.
        hint: String,
    },
    /// No preset has this name.
    #[error("there is no preset `{name}`{hint}; there are {known}")]
    UnknownPreset {
        /// The name asked for.
        name: String,
        /// The nearest name, as `; did you mean ...?`, or nothing.
        hint: String,
        /// All names.
        known: String,
    },
    /// The value is not of the parameter's type.
    #[error("`{name}` cannot be `{got}`: it takes {expected}")]
    Type {
        /// The parameter.
        name: &'static str,
        /// The value given.
        got: String,
        /// What it takes, in words.
        expected: String,
    },
    /// The value is of the right type but not permitted.
    #[error("`{name} = {value}` is out of range: it takes {range}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: String,
        /// What it takes, in words.
        range: String,
    },
    /// Two parameters contradict each other.
    #[error("`{low}` ({low_value}) must not be above `{high}` ({high_value})")]
    Order {
        /// The parameter that must be the smaller.
        low: &'static str,
        /// Its value.
        low_value: f64,
        /// The parameter that must be the larger.
        high: &'static str,
        /// Its value.
        high_value: f64,
    },
    /// A reward is paid for that no network gives.
    #[error("`{weight}` must be 0 where `{network} = none`: there is nothing to score with")]
    Absent {
        /// The parameter that names the network.
        network: &'static str,
        /// Its weight in the reward.
        weight: &'static str,
    },
    /// A piece of a link or of `--set` is not a pair.
    #[error("`{0}` is not of the form name=value")]
    Syntax(String),
    /// A link names something that is not there.
    #[error("`{key}` cannot name `{name}`: there is nothing of this name{hint}")]
    Name {
        /// The key of the link.
        key: &'static str,
        /// The name asked for.
        name: String,
        /// The nearest name, as `; did you mean ...?`, or nothing.
        hint: String,
    },
    /// A link says of its lesson something that is no place.
    #[error("`lesson` takes the name of a lesson, a file, or an address that begins with http, not `{0}`")]
    Source(String),
    /// A link is longer than any that is written.
    #[error("a link has at most {longest} characters")]
    Long {
        /// The longest that is read, in bytes.
        longest: usize,
    },
    /// The text is not TOML.
    #[error("not valid TOML: {0}")]
    Toml(#[from] toml::de::Error),
}

/// `; did you mean ...?` for the nearest candidate, or nothing where none is near.
pub(crate) fn hint<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let wanted = name.trim().to_lowercase().replace('-', "_");
    let distance = |c: &str| {
        let c = c.replace('-', "_");
        // A name left half-written is nearer than its count of missing letters says.
        if wanted.len() > 2 && c.contains(&wanted) { 1 } else { edits(&wanted, &c) }
    };
    candidates
        .map(|c| (distance(c), c))
        .min()
        .filter(|(d, _)| *d <= 1 + wanted.len() / 4)
        .map_or_else(String::new, |(_, c)| format!("; did you mean `{c}`?"))
}

/// Levenshtein distance in characters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let swap = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = swap.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_one() {
        let message = |name| Param::find(name).unwrap_err().to_string();
        assert!(message("learnign_rate").contains("`learning_rate`"));
        assert!(message("num-generation").contains("`num_generations`"));
        assert!(message("ema").contains("`ema_beta`"));
        assert_eq!(message("zzzzzzzz"), "there is no parameter `zzzzzzzz`");
    }

    #[test]
    fn refusals_name_the_range_and_the_type() {
        let mut config = RunConfig::default();
        let out = config.set("temperature", "-1").unwrap_err().to_string();
        assert!(out.contains("temperature = -1") && out.contains("to 5"), "{out}");
        let wrong = config.set("prompts", "many").unwrap_err().to_string();
        assert!(wrong.contains("whole number"), "{wrong}");
        let choice = config.set("loss_type", "ppo").unwrap_err().to_string();
        assert!(choice.contains("dr_grpo"), "{choice}");
        for bad in ["nan", "inf"] {
            assert!(matches!(config.set("beta", bad), Err(ConfigError::Range { .. })));
        }
        assert_eq!(config, RunConfig::default());
    }

    #[test]
    fn edit_distance_counts_insertions_deletions_and_replacements() {
        assert_eq!([edits("kitten", "sitting"), edits("", "abc"), edits("same", "same")], [3, 3, 0]);
    }

    #[test]
    fn small_and_large_numbers_are_written_with_an_exponent() {
        let text = |x| Value::Float(x).to_string();
        assert_eq!([text(1e-5), text(0.0022), text(3.0), text(0.0), text(-2e9)], ["1e-5", "0.0022", "3", "0", "-2e9"]);
    }
}
