//! A run in one line that can be sent to somebody: its settings, and what a teacher fixes, hides and wants shown.

use std::collections::BTreeSet;
use std::fmt;

use super::share::{decode, encode};
use super::{ConfigError, PARAMS, PRESETS, Param, RunConfig, hint};

/// How a link begins where it is not a page's.
const SCHEME: &str = "artune:";
/// Longer text is no link, in bytes.
const LONGEST: usize = 1 << 14;
/// A longer number, choice or address is none, in bytes.
const LONGEST_VALUE: usize = 1 << 11;
/// Keys of a link besides the names of the parameters.
const KEYS: [&str; 7] = ["preset", "autostart", "lock", "hide", "lesson", "show", "device"];
/// All settings at once, in `lock` and `hide`.
const ALL: &str = "all";

/// Panes of the window, as links name them.
pub const PANES: [&str; 11] = [
    "settings",
    "rewards",
    "learn",
    "pictures",
    "feature-space",
    "inspector",
    "compare",
    "curves",
    "diagnosis",
    "device",
    "log",
];
/// Menus that a link can hide.
pub const MENUS: [&str; 2] = ["presets", "file"];
/// Where a link can ask to compute.
const DEVICES: [&str; 3] = ["auto", "cpu", "gpu"];

/// What a link says. Read by [`Link::parse`], written by `to_string` or [`Link::page`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// Every parameter of the run.
    pub config: RunConfig,
    /// The preset that the settings start from.
    pub preset: Option<&'static str>,
    /// Run at once.
    pub autostart: bool,
    /// Settings that are shown and cannot be changed: parameters, groups, or `all`.
    pub lock: Names,
    /// What is not shown: parameters, groups, `all`, panes, menus. A hidden setting cannot be changed either.
    pub hide: Names,
    /// A lesson to show: one that ships, by its name; or a file or an address.
    pub lesson: Option<String>,
    /// The pane to bring to the front, one of [`PANES`].
    pub show: Option<&'static str>,
    /// `auto`, `cpu` or `gpu`.
    pub device: Option<&'static str>,
}

impl Link {
    /// Reads a link: `artune:?pairs`, a page's address with `?pairs` or `#pairs`, or the pairs alone. A preset comes
    /// first and the other pairs after it, in whatever order they stand.
    ///
    /// # Errors
    /// [`ConfigError`] where there is nothing to read, where the text is longer than 16 KiB, or a pair is refused.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        if pairs(text)?.is_empty() {
            return Err(ConfigError::Syntax(brief(text)));
        }
        Self::default().over(text)
    }

    /// This link with what another says on top: single values replace, locked and hidden names are added. Text
    /// without pairs, such as a page's bare address, changes nothing.
    ///
    /// # Errors
    /// [`ConfigError`] where the text is longer than 16 KiB, or a pair is refused.
    pub fn over(mut self, text: &str) -> Result<Self, ConfigError> {
        let mut settings = vec![];
        for (key, value) in pairs(text)? {
            match key {
                "preset" => self.preset = Some(one_of("preset", &value, PRESETS.iter().map(|p| p.name))?),
                "autostart" => self.autostart = flag("autostart", &value)?,
                "lock" => self.lock.add("lock", &value, &[])?,
                "hide" => self.hide.add("hide", &value, &[&PANES, &MENUS])?,
                "lesson" => self.lesson = Some(source(value)?),
                "show" => self.show = Some(one_of("show", &value, PANES.into_iter())?),
                "device" => self.device = Some(one_of("device", &value, DEVICES.into_iter())?),
                name => settings.push((parameter(name, &value)?, value)),
            }
            if key == "preset" {
                self.config = RunConfig::preset(self.preset.unwrap_or_default())?;
            }
        }
        self.config.apply(settings.iter().map(|(name, value)| (*name, value.as_str())))?;
        Ok(self)
    }

    /// The link as the address of the page at `base`, whose own query and fragment are left out.
    pub fn page(&self, base: &str) -> String {
        let end = base.find(['?', '#']).unwrap_or(base.len());
        format!("{}?{}", &base[..end], self.pairs())
    }

    /// Whether anything is fixed or hidden.
    pub fn restricts(&self) -> bool {
        !(self.lock.is_empty() && self.hide.is_empty())
    }

    /// What stands behind the `?`: what differs from the preset or the defaults, and always the seed, so that the same
    /// pictures come out wherever the link is opened.
    fn pairs(&self) -> String {
        // A lesson has settings of its own: a preset begins anew.
        let preset = self.preset.or(self.lesson.as_ref().map(|_| PRESETS[0].name));
        let base = preset.and_then(|name| RunConfig::preset(name).ok()).unwrap_or_default();
        let mut pairs: Vec<(&str, String)> = vec![];
        pairs.extend(self.lesson.iter().map(|lesson| ("lesson", lesson.clone())));
        pairs.extend(preset.map(|name| ("preset", name.into())));
        for param in PARAMS {
            let value = self.config.get(param.name);
            if param.name != "seed" && value != base.get(param.name) {
                pairs.extend(value.map(|value| (param.name, value.to_string())));
            }
        }
        pairs.push(("seed", self.config.seed.to_string()));
        for (key, names) in [("lock", &self.lock), ("hide", &self.hide)] {
            pairs.extend((!names.is_empty()).then(|| (key, names.to_string())));
        }
        pairs.extend(self.show.map(|pane| ("show", pane.into())));
        pairs.extend(self.device.map(|device| ("device", device.into())));
        pairs.extend(self.autostart.then(|| ("autostart", "true".into())));
        pairs.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect::<Vec<_>>().join("&")
    }
}

impl fmt::Display for Link {
    /// Writes `artune:?pairs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}?{}", self.pairs())
    }
}

impl From<RunConfig> for Link {
    fn from(config: RunConfig) -> Self {
        Self { config, ..Self::default() }
    }
}

impl RunConfig {
    /// Everything that differs from the defaults, and always the seed, as a link: `artune:?beta=0.5&seed=0`.
    pub fn to_link(&self) -> String {
        Link::from(self.clone()).to_string()
    }

    /// The settings of a link, whatever else it says.
    ///
    /// # Errors
    /// As [`Link::parse`].
    pub fn from_link(text: &str) -> Result<Self, ConfigError> {
        Link::parse(text).map(|link| link.config)
    }
}

/// What a link locks or hides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(BTreeSet<&'static str>);

impl Names {
    /// Whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very name is among them.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Puts a name in, or takes it out.
    pub fn set(&mut self, name: &'static str, named: bool) {
        if named {
            self.0.insert(name);
        } else {
            self.0.remove(name);
        }
    }

    /// Whether all settings are named at once.
    pub fn has_all(&self) -> bool {
        self.has(ALL)
    }

    /// Whether a setting is named: itself, its group, or all.
    pub fn covers(&self, param: &Param) -> bool {
        self.has_all() || self.has(param.name) || self.has(param.group)
    }

    /// Adds the names in `text`, with commas between: settings, groups, and those in `others`.
    fn add(&mut self, key: &'static str, text: &str, others: &[&'static [&'static str]]) -> Result<(), ConfigError> {
        let settings = PARAMS.iter().flat_map(|param| [param.name, param.group]).chain([ALL]);
        let known = settings.chain(others.iter().flat_map(|names| names.iter().copied()));
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            self.0.insert(one_of(key, name, known.clone())?);
        }
        Ok(())
    }
}

impl fmt::Display for Names {
    /// Writes the names with commas between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|name| name.to_lowercase()).collect::<Vec<_>>().join(","))
    }
}

/// The pairs of a link with their values decoded. A key alone has an empty value. What other sites add to an address to
/// follow their readers is left out.
fn pairs(text: &str) -> Result<Vec<(&str, String)>, ConfigError> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(ConfigError::Long { longest: LONGEST });
    }
    let begins = |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let text = match begins(SCHEME) || begins("http:") || begins("https:") {
        true => text.find(['?', '#']).map_or("", |at| &text[at..]),
        false => text,
    };
    let of_others = |key: &str| key.starts_with("utm_") || ["fbclid", "gclid"].contains(&key);
    // A value has none of these in it: they are written as escapes.
    text.split(|c: char| "&?#".contains(c) || c.is_whitespace())
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let (key, value) = match piece.split_once('=') {
                Some((key, value)) => (key, decode(value).ok_or_else(|| ConfigError::Syntax(brief(piece)))?),
                None if piece == "autostart" => (piece, String::new()),
                None => return Err(ConfigError::Syntax(brief(piece))),
            };
            Ok((key, value))
        })
        .filter(|pair| !pair.as_ref().is_ok_and(|(key, _)| of_others(key)))
        .collect()
}

/// The parameter of this name, for a value of bearable length.
fn parameter(name: &str, value: &str) -> Result<&'static str, ConfigError> {
    let known = PARAMS.iter().map(|param| param.name).chain(KEYS);
    let param = PARAMS.iter().find(|param| param.name == name);
    let param = param.ok_or_else(|| ConfigError::Unknown { name: brief(name), hint: hint(name, known) })?;
    if value.len() > LONGEST_VALUE && param.kind != super::Kind::Text {
        return Err(ConfigError::Syntax(brief(&format!("{name}={value}"))));
    }
    Ok(param.name)
}

/// The known name that is meant, however it is written.
fn one_of(
    key: &'static str,
    name: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Result<&'static str, ConfigError> {
    let plain = |name: &str| name.trim().to_lowercase().replace([' ', '_'], "-");
    let wanted = plain(name);
    known.clone().find(|other| plain(other) == wanted).ok_or_else(|| {
        let known: Vec<String> = known.map(str::to_lowercase).collect();
        ConfigError::Name { key, name: brief(name), hint: hint(name, known.iter().map(String::as_str)) }
    })
}

fn flag(name: &'static str, text: &str) -> Result<bool, ConfigError> {
    match text.trim() {
        "" | "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        other => Err(ConfigError::Type { name, got: brief(other), expected: "true or false".into() }),
    }
}

/// Where a lesson is: a name, a file, or an address that begins with `http`.
fn source(text: String) -> Result<String, ConfigError> {
    let text = text.trim();
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
        // A single letter is a drive.
        scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let strange = scheme.is_some_and(|scheme| !["http", "https"].contains(&scheme.to_lowercase().as_str()));
    if text.is_empty() || text.len() > LONGEST_VALUE || strange || text.contains(char::is_control) {
        return Err(ConfigError::Source(brief(text)));
    }
    Ok(text.into())
}

/// As much of a stranger's text as an error shows.
fn brief(text: &str) -> String {
    let text = text.trim();
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests;
