//! The tour: its pages, what makes each of them go on, and the reader's place in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::course::{Course, Leaf};
use super::text::learn::{self as words, Words};
use crate::session::Span;

/// Something that the user did, or that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    /// Run was pressed.
    Ran,
    /// Pause was pressed.
    Paused,
    /// Step was pressed, with this step size.
    Stepped(Span),
    /// The parameter of this name was turned.
    Turned(String),
    /// The preset of this name was chosen.
    ChosePreset(String),
    /// The pointer rested on a sample in the gallery, so that its rewards and advantages are shown.
    HoveredSample,
    /// The frames were switched between both advantages and one of them.
    SwitchedFrames,
    /// A dot in the feature space was pointed at.
    PointedAtDot,
    /// A sample was opened in the inspector.
    Inspected,
    /// A token was changed in the inspector.
    EditedToken,
    /// An evaluation has come.
    Evaluated,
    /// A checkpoint has been written because the user asked for it.
    Saved,
    /// The run went back to an earlier checkpoint.
    Rewound,
    /// An update has finished: its number, from 1.
    SawUpdate(u64),
}

impl Deed {
    /// Whether the engine did it: the reader may be in the middle of a sentence.
    pub(super) fn comes_by_itself(&self) -> bool {
        matches!(self, Self::SawUpdate(_) | Self::Evaluated)
    }
}

/// A page of the tour.
#[derive(Debug)]
pub(super) struct Page {
    /// By which the reader's place is remembered.
    pub(super) name: &'static str,
    /// Title, body and what to do.
    pub(super) words: &'static Words,
    /// The widget that the page speaks of.
    pub(super) anchor: Option<&'static str>,
    /// Whether this deed is what the page asks for.
    pub(super) done: fn(&Deed) -> bool,
}

impl Page {
    const fn new(name: &'static str, words: &'static Words, anchor: &'static str, done: fn(&Deed) -> bool) -> Self {
        Self { name, words, anchor: Some(anchor), done }
    }
}

/// All pages in their order.
pub(super) static PAGES: &[Page] = &[
    Page::new("watch", &words::WATCH, "run", |deed| *deed == Deed::Ran),
    Page::new("token", &words::TOKEN, "gallery", |deed| matches!(deed, Deed::Inspected | Deed::EditedToken)),
    Page::new("write", &words::WRITE, "step", |deed| *deed == Deed::Stepped(Span::Token)),
    Page::new("chance", &words::CHANCE, "setting/temperature", |deed| turned(deed, &["temperature"])),
    Page::new("rollout", &words::ROLLOUT, "step", |deed| matches!(deed, Deed::SawUpdate(_))),
    Page::new("guidance", &words::GUIDANCE, "setting/guidance", |deed| turned(deed, &["guidance"])),
    Page::new(
        "rewards",
        &words::REWARDS,
        "faders",
        |deed| matches!(deed, Deed::Turned(name) if name.ends_with("_weight") && name != "loo_fid_weight"),
    ),
    Page::new("advantage", &words::ADVANTAGE, "frames-legend", |deed| *deed == Deed::HoveredSample),
    Page::new("ratio", &words::RATIO, "curve/Ratio", |deed| matches!(deed, Deed::SawUpdate(_))),
    Page::new("step", &words::STEP, "setting/num_iterations", |deed| {
        turned(deed, &["num_iterations", "learning_rate", "epsilon", "epsilon_high"])
    }),
    Page::new("kl", &words::KL, "setting/beta", |deed| turned(deed, &["beta"])),
    Page::new("entropy", &words::ENTROPY, "curve/Entropy", |deed| matches!(deed, Deed::SawUpdate(_))),
    Page::new("space", &words::SPACE, "feature-space", |deed| *deed == Deed::PointedAtDot),
    Page::new("distance", &words::DISTANCE, "evaluate", |deed| *deed == Deed::Evaluated),
    Page::new("leave-one-out", &words::LEAVE_ONE_OUT, "frames-legend", |deed| *deed == Deed::SwitchedFrames),
    Page::new(
        "collapse",
        &words::COLLAPSE,
        "presets",
        |deed| matches!(deed, Deed::ChosePreset(name) if ["instance-only", "no-anchor"].contains(&name.as_str())),
    ),
    Page::new("rewind", &words::REWIND, "timeline", |deed| *deed == Deed::Rewound),
    Page::new("compare", &words::COMPARE, "inspector", |deed| *deed == Deed::Inspected),
    Page::new("honest", &words::HONEST, "curve/Held-out distance", |_| false),
    Page::new("ahead", &words::AHEAD, "save", |deed| *deed == Deed::Saved),
];

/// Whether one of these parameters was turned.
fn turned(deed: &Deed, names: &[&str]) -> bool {
    matches!(deed, Deed::Turned(name) if names.contains(&name.as_str()))
}

/// The reader's place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Place", into = "Place")]
pub(super) struct Tour {
    at: usize,
    done: BTreeSet<&'static str>,
}

/// How a [`Tour`] is remembered: by names, so that a later order of pages does no harm.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Place {
    page: String,
    done: Vec<String>,
}

impl From<Place> for Tour {
    fn from(place: Place) -> Self {
        let at = |name: &str| PAGES.iter().position(|page| page.name == name);
        let done = place.done.iter().filter_map(|name| Some(PAGES[at(name)?].name)).collect();
        Self { at: at(&place.page).unwrap_or(0), done }
    }
}

impl From<Tour> for Place {
    fn from(tour: Tour) -> Self {
        Self { page: tour.page().name.into(), done: tour.done.iter().map(|name| name.to_string()).collect() }
    }
}

impl Tour {
    /// The page that the reader is at.
    fn page(&self) -> &'static Page {
        &PAGES[self.at.min(PAGES.len() - 1)]
    }
}

impl Course for Tour {
    fn pages(&self) -> usize {
        PAGES.len()
    }

    fn leaf_of(&self, page: usize) -> Leaf<'_> {
        let Page { words: Words { title, body, ask }, anchor, .. } = &PAGES[page.min(PAGES.len() - 1)];
        Leaf { title, body, ask: (*ask).into(), anchor: *anchor }
    }

    fn at(&self) -> usize {
        self.at
    }

    fn is_done(&self, page: usize) -> bool {
        PAGES.get(page).is_some_and(|page| self.done.contains(page.name))
    }

    fn turn_to(&mut self, page: usize) {
        self.at = page.min(PAGES.len() - 1);
    }

    fn note(&mut self, deed: &Deed) -> bool {
        let wanted = (self.page().done)(deed);
        if wanted {
            self.done.insert(self.page().name);
        }
        wanted
    }

    fn read(&mut self) {
        if self.page().words.ask.is_empty() {
            self.done.insert(self.page().name);
        }
    }

    fn start_over(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PRESETS;
    use crate::ui::anchor;

    /// For each page a deed that it asks for; `None` for one that asks for nothing.
    fn wanted(page: &str) -> Option<Deed> {
        let turned = |name: &str| Some(Deed::Turned(name.into()));
        match page {
            "watch" => Some(Deed::Ran),
            "token" | "compare" => Some(Deed::Inspected),
            "write" => Some(Deed::Stepped(Span::Token)),
            "chance" => turned("temperature"),
            "rollout" | "ratio" | "entropy" => Some(Deed::SawUpdate(3)),
            "guidance" => turned("guidance"),
            "rewards" => turned("brightness_weight"),
            "advantage" => Some(Deed::HoveredSample),
            "step" => turned("num_iterations"),
            "kl" => turned("beta"),
            "space" => Some(Deed::PointedAtDot),
            "distance" => Some(Deed::Evaluated),
            "leave-one-out" => Some(Deed::SwitchedFrames),
            "collapse" => Some(Deed::ChosePreset("no-anchor".into())),
            "rewind" => Some(Deed::Rewound),
            "ahead" => Some(Deed::Saved),
            _ => None,
        }
    }

    #[test]
    fn pages_are_few_short_and_point_at_something_real() {
        assert!((18..=20).contains(&PAGES.len()), "{}", PAGES.len());
        for page in PAGES {
            let count = |text: &str| text.split_whitespace().count();
            let (name, Words { title, body, ask }) = (page.name, page.words);
            assert!(count(body) <= 75 && count(body) >= 25, "{name}: {} words", count(body));
            assert!(count(ask) <= 20 && title.len() <= 26 && !title.is_empty(), "{name}");
            assert!(!format!("{title}{body}{ask}").contains('!'), "{name}");
            assert!(page.anchor.is_some_and(anchor::is_known), "{name}");
            assert_eq!(PAGES.iter().filter(|other| other.name == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn each_page_goes_on_by_its_own_deed_and_by_no_other_pages_deed() {
        for (at, page) in PAGES.iter().enumerate() {
            let own = wanted(page.name);
            assert_eq!(own.is_some(), !page.words.ask.is_empty(), "{}", page.name);
            for other in PAGES.iter().filter_map(|page| wanted(page.name)) {
                let mut tour = Tour { at, ..Tour::default() };
                let noted = tour.note(&other);
                assert_eq!(noted, own.as_ref() == Some(&other), "{}: {other:?}", page.name);
                assert_eq!(tour.is_done(at), noted);
            }
        }
        let kept = [Deed::Paused, Deed::Stepped(Span::Update), Deed::Turned("seed".into())];
        assert!(PAGES.iter().all(|page| kept.iter().all(|deed| !(page.done)(deed))));
    }

    #[test]
    fn the_presets_that_fail_are_the_ones_there_are() {
        let page = PAGES.iter().find(|page| page.name == "collapse").unwrap();
        let failing = PRESETS.iter().filter(|p| (page.done)(&Deed::ChosePreset(p.name.into())));
        assert_eq!(failing.map(|p| p.name).collect::<Vec<_>>(), ["instance-only", "no-anchor"]);
        assert!(["instance-only", "no-anchor"].iter().all(|name| page.words.body.contains(name)));
    }

    #[test]
    fn what_the_words_say_of_the_defaults_is_so() {
        let config = crate::config::RunConfig::default();
        assert_eq!((config.prompts, config.num_generations), (16, 8));
        assert_eq!((config.guidance, config.epsilon, config.epsilon_high), (1.5, 0.2, 0.2));
        assert_eq!((config.eval_samples, config.checkpoint_every, config.num_iterations), (256, 10, 1));
        assert!(config.adaptive_entropy && config.entropy_target == 0.0);
    }

    #[test]
    fn the_place_is_remembered_by_name() {
        let mut tour = Tour::default();
        assert!(tour.note(&Deed::Ran));
        tour.turn_to(8);
        let json = serde_json::to_string(&tour).unwrap();
        assert_eq!(json, r#"{"page":"ratio","done":["watch"]}"#);
        assert_eq!(serde_json::from_str::<Tour>(&json).unwrap(), tour);
        let strange = r#"{"page":"gone","done":["gone","kl"],"more":1}"#;
        let tour: Tour = serde_json::from_str(strange).unwrap();
        assert_eq!((tour.at(), tour.done.len()), (0, 1));
        assert_eq!(serde_json::from_str::<Tour>("{}").unwrap(), Tour::default());
    }
}
