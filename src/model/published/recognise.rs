//! Which network does a file hold? Told by the names and shapes of its tensors.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::infer::{GUESSES, infer, is_openai};
use super::{Architecture, Published, manifest};
use crate::formats::{Info, Tensors};
use crate::model::transformer::GptConfig;
use crate::model::weights;

/// Keys that are shown of each kind of trouble.
const SHOWN: usize = 8;

/// What a file holds: names, and of each its shape and kind of number.
pub type Listing = BTreeMap<String, Info>;

/// What a file's own header says of it; see [`Tensors::notes`].
pub type Notes = BTreeMap<String, String>;

/// Why a file's network is unknown.
#[derive(Debug, Error)]
pub enum RecogniseError {
    /// No network here has such names.
    #[error("none of the networks known here: the file has {tensors} tensors such as {such}{hint}")]
    Unknown {
        /// How many tensors the file has.
        tensors: usize,
        /// A few of their names.
        such: String,
        /// What to do about it, if anything.
        hint: &'static str,
    },
    /// A name was asked for that no network has.
    #[error("no published network is called {name:?}; there are {known}")]
    Name {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// What a file holds, and how well.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The published network that it is; `None` where it is of no published size.
    pub network: Option<&'static Published>,
    /// Others with the same tensors, which no file can be told from by its tensors.
    pub others: Vec<&'static str>,
    /// Whether the caller, the file's notes or its name say which of these it is.
    pub named: bool,
    /// What of the architecture no tensor shows and nothing else tells: taken to be as it usually is.
    pub guessed: Vec<&'static str>,
    /// Which network, and of what shape.
    pub architecture: Architecture,
    /// How many tensors such a network has.
    pub tensors: usize,
    /// Numbers in them together.
    pub numbers: u64,
    /// Keys that the network needs and the file lacks.
    pub missing: Vec<String>,
    /// Keys of the file that the network has no parameter for.
    pub extra: Vec<String>,
    /// Keys whose shape or kind of number differs, with both.
    pub misfit: Vec<String>,
    /// Keys of the file that are of no use here, by what they are.
    pub ignored: BTreeMap<&'static str, Vec<String>>,
}

/// The names and shapes of an open file.
pub fn listing(file: &Tensors) -> Listing {
    file.names().filter_map(|name| Some((name.to_string(), file.info(name)?.clone()))).collect()
}

/// The network in a file called `file` with these tensors and notes; `name` is the network that the caller says it is,
/// of [`Published::all`].
///
/// # Errors
/// Where nothing here resembles it, or no network has the name. A file that resembles one but does not fit is none.
pub fn recognise(list: &Listing, notes: &Notes, file: &str, name: Option<&str>) -> Result<Recognised, RecogniseError> {
    if let Some(name) = name {
        let network = Published::named(name).ok_or_else(|| RecogniseError::Name {
            name: name.into(),
            known: Published::all().iter().map(|network| network.name).collect::<Vec<_>>().join(", "),
        })?;
        return Ok(Recognised { named: true, ..compare(list, Some(network), network.architecture.clone()) });
    }
    if let Some(architecture) = noted(list, notes) {
        let same: Vec<_> = Published::all().iter().filter(|it| it.architecture.is_like(&architecture)).collect();
        let name = notes.get(NETWORK).and_then(|name| same.iter().copied().find(|network| network.name == name));
        let mut found = compare(list, None, architecture);
        let guessed = notes.get(GUESSED).map_or("", String::as_str);
        found.guessed = GUESSES.iter().filter(|it| guessed.split(", ").any(|word| word == **it)).copied().collect();
        match name {
            Some(network) => (found.network, found.named) = (Some(network), true),
            None => found.choose(same, file),
        }
        return Ok(found);
    }
    let published = Published::all().iter().map(|network| compare(list, Some(network), network.architecture.clone()));
    let inferred =
        infer(list).map(|(architecture, guessed)| Recognised { guessed, ..compare(list, None, architecture) });
    // The first of the best: published before inferred, and in the registry's order.
    let best = published.chain(inferred).min_by_key(Recognised::problems);
    let Some(mut best) = best.filter(|best| 2 * best.fitting() >= best.tensors) else {
        return Err(unknown(list));
    };
    if let Some(network) = best.network {
        let (ours, openai) = (network.architecture.manifest(), is_openai(list));
        let quick = |other: &&Published| other.clip().is_some_and(|clip| clip.quick_gelu);
        let kind = |of: &Published| std::mem::discriminant(&of.architecture);
        let same = |other: &&Published| kind(other) == kind(network) && other.architecture.manifest() == ours;
        let mut same: Vec<_> = Published::all().iter().filter(same).collect();
        if openai && same.iter().any(quick) {
            same.retain(quick);
        }
        best.choose(same, file);
        best.architecture = best.network.map_or(best.architecture, |network| network.architecture.clone());
    }
    Ok(best)
}

/// Note under which a file of ours names its network.
pub const NETWORK: &str = "network";
/// Note under which a file of ours has its [`Architecture`] as JSON; a tuned policy's has a [`GptConfig`].
pub const ARCHITECTURE: &str = "architecture";
/// Note under which an imported file keeps what of its architecture was guessed; see [`Recognised::guessed`].
pub const GUESSED: &str = "guessed";

/// The architecture that a file written by this program says it has.
fn noted(list: &Listing, notes: &Notes) -> Option<Architecture> {
    let text = notes.get(ARCHITECTURE)?;
    let gpt = || serde_json::from_str::<GptConfig>(text).ok().map(Architecture::Gpt);
    let found = serde_json::from_str(text).ok().or_else(gpt).filter(Architecture::is_possible)?;
    found.is_plausible(list.len()).then_some(found)
}

fn unknown(list: &Listing) -> RecogniseError {
    let hint = if list.keys().any(|key| key.starts_with("vision_model.") || key.starts_with("text_model.")) {
        "; these are Hugging Face transformers' names for CLIP: take OpenAI's or open_clip's own file"
    } else if list.keys().any(|key| key.starts_with("visual.trunk.")) {
        "; a CLIP whose picture tower is timm's is not read: take one with open_clip's own ViT"
    } else {
        ""
    };
    let such = list.keys().take(4).cloned().collect::<Vec<_>>().join(", ");
    RecogniseError::Unknown { tensors: list.len(), such, hint }
}

fn compare(list: &Listing, network: Option<&'static Published>, architecture: Architecture) -> Recognised {
    let manifest = architecture.manifest();
    let numbers = manifest::numbers(&manifest);
    let tensors = manifest.len();
    let (mut missing, mut misfit) = (vec![], vec![]);
    let needed: BTreeMap<String, Vec<usize>> = manifest.into_iter().collect();
    for (key, shape) in &needed {
        match list.get(key) {
            None => missing.push(key.clone()),
            Some(info) if weights::fits(&info.shape, shape) && info.dtype.is_float() => {}
            Some(info) => misfit.push(format!("{key} (file {} {:?}, network {shape:?})", info.dtype, info.shape)),
        }
    }
    let mut ignored: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut extra = vec![];
    for key in list.keys().filter(|key| !needed.contains_key(*key)) {
        match weights::ignored(key) {
            Some(why) => ignored.entry(why).or_default().push(key.clone()),
            None => extra.push(key.clone()),
        }
    }
    let (others, named, guessed) = (vec![], false, vec![]);
    Recognised { network, others, named, guessed, architecture, tensors, numbers, missing, extra, misfit, ignored }
}

impl Recognised {
    /// Whether the file holds the network completely and nothing else of use.
    pub fn fits(&self) -> bool {
        self.problems() == 0
    }

    /// Whether it is known which published network it is, if any: no other has the same tensors, or the caller, the
    /// file's notes or its name tell.
    pub fn is_certain(&self) -> bool {
        self.others.is_empty() || self.named
    }

    /// Takes the one of `same`, which have the same tensors, that a file called `file` is most likely to hold: the first
    /// where its name does not tell.
    fn choose(&mut self, same: Vec<&'static Published>, file: &str) {
        let hinted = |network: &&Published| network.hinted(file);
        let most = same.iter().map(hinted).max().unwrap_or(0);
        let Some(&network) = same.iter().find(|network| hinted(network) == most) else { return };
        self.named = most > 0 && same.iter().filter(|network| hinted(network) == most).count() == 1;
        self.network = Some(network);
        self.others = same.iter().map(|other| other.name).filter(|name| *name != network.name).collect();
    }

    /// How many of the network's tensors the file has as they should be.
    pub fn fitting(&self) -> usize {
        self.tensors - self.missing.len() - self.misfit.len()
    }

    fn problems(&self) -> usize {
        self.missing.len() + self.misfit.len() + self.extra.len()
    }

    /// What the file is called here: the network's name, or what it is.
    pub fn name(&self) -> String {
        self.network.map_or_else(|| self.architecture.to_string(), |network| network.name.to_string())
    }
}

impl fmt::Display for Recognised {
    /// A line that says what it is and whether it fits, and one for each thing worth knowing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.fits(), 2 * self.fitting() >= self.tensors) {
            (true, _) => {}
            (false, true) => f.write_str("looks like ")?,
            (false, false) => f.write_str("is not ")?,
        }
        match self.network {
            Some(network) => write!(f, "{} ({})", network.name, self.architecture)?,
            None => write!(f, "{}, of no published size", self.architecture)?,
        }
        write!(f, ", {:.1} million parameters", self.numbers as f64 / 1e6)?;
        match self.fits() {
            true => write!(f, "; all {} tensors fit", self.tensors)?,
            false => write!(f, "; {} of {} tensors fit", self.fitting(), self.tensors)?,
        }
        if !self.others.is_empty() {
            let others = self.others.join(", ");
            write!(f, "\n  {others} would have the same tensors: if it is one of these, say so with --as")?;
        }
        if !self.guessed.is_empty() {
            write!(f, "\n  guessed, since no tensor shows it: {}", self.guessed.join(", "))?;
        }
        let kinds =
            [("missing", &self.missing), ("unexpected", &self.extra), ("of another shape or type", &self.misfit)];
        for (what, keys) in kinds.into_iter().filter(|(_, keys)| !keys.is_empty()) {
            write!(f, "\n  {what} ({}): {}", keys.len(), shown(keys))?;
        }
        for (why, keys) in &self.ignored {
            write!(f, "\n  ignored, {why} ({}): {}", keys.len(), shown(keys))?;
        }
        Ok(())
    }
}

fn shown(keys: &[String]) -> String {
    let more = keys.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", keys[..keys.len() - more].join(", "))
}

#[cfg(test)]
mod tests;
