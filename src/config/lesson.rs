//! Lessons: a small TOML file with a title, a link and some steps, which the window shows in place of its own tour.
//!
//! ```toml
//! title = "Why diversity falls"
//! text = "Plain words to begin with."
//! link = "preset=collapse&lock=loss"
//!
//! [[steps]]
//! text = "Watch this curve."
//! point = "curve/Diversity"
//! wait = "update >= 3"
//! ```

use std::fmt;

use serde::Deserialize;

use super::{ConfigError, Link, PRESETS, Param, hint};

/// A longer file is no lesson, in bytes.
pub const LONGEST: usize = 1 << 16;
/// Most steps of a lesson.
const STEPS: usize = 40;
/// Most characters of a title, and of a text.
const TITLE: usize = 60;
const TEXT: usize = 2000;

/// Lessons that ship, by name.
pub const SHIPPED: [(&str, &str); 1] = [("diversity", include_str!("../../assets/lessons/diversity.toml"))];

/// A lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// A line.
    pub title: String,
    /// What it is about, in plain words.
    pub text: String,
    /// How the run begins, and what is fixed and hidden.
    pub link: Link,
    /// What to do and to look at, in this order.
    pub steps: Vec<Step>,
}

/// A page of a lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// A line, if it has one.
    pub title: Option<String>,
    /// Plain words.
    pub text: String,
    /// The widget that it speaks of, by its name among the anchors of the window.
    pub point: Option<String>,
    /// What the reader does, or waits for, before it goes on by itself.
    pub wait: Option<Wait>,
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// `update >= 3`: so many updates are done.
    Update(u64),
    /// `turned lambda_fid`: this parameter was turned.
    Turned(&'static str),
    /// `chose collapse`: this preset was chosen.
    Chose(&'static str),
    /// `ran`: Run was pressed.
    Ran,
    /// `paused`: Pause was pressed.
    Paused,
    /// `evaluated`: an evaluation has come.
    Evaluated,
    /// `inspected`: a picture was opened in the inspector.
    Inspected,
    /// `rewound`: the run went back to an earlier update.
    Rewound,
    /// `saved`: a checkpoint was asked for.
    Saved,
}

/// Those that are one word.
const WORDS: [(&str, Wait); 6] = [
    ("ran", Wait::Ran),
    ("paused", Wait::Paused),
    ("evaluated", Wait::Evaluated),
    ("inspected", Wait::Inspected),
    ("rewound", Wait::Rewound),
    ("saved", Wait::Saved),
];

/// Why a text is no lesson.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// Longer than any lesson.
    #[error("a lesson has at most {} KiB", LONGEST >> 10)]
    Long,
    /// Not TOML, or with keys that a lesson does not have.
    #[error("this is no lesson: {0}")]
    Toml(#[from] toml::de::Error),
    /// Its link is refused.
    #[error("the link of this lesson is refused: {0}")]
    Link(#[from] ConfigError),
    /// A part of it is missing or too long.
    #[error("{0}")]
    Shape(String),
    /// What a step waits for is not known.
    #[error(
        "step {step} waits for `{wait}`, which is none of: update >= 3, turned PARAMETER, chose PRESET, ran, paused, \
         evaluated, inspected, rewound, saved{why}"
    )]
    Wait {
        /// The step, from 1.
        step: usize,
        /// What it has.
        wait: String,
        /// More about it, after `; `, or nothing.
        why: String,
    },
}

/// A lesson as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    text: String,
    #[serde(default)]
    link: String,
    #[serde(default)]
    steps: Vec<FileStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileStep {
    title: Option<String>,
    text: String,
    point: Option<String>,
    wait: Option<String>,
}

impl Lesson {
    /// Reads a lesson.
    ///
    /// # Errors
    /// [`LessonError`], in words for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, LessonError> {
        if text.len() > LONGEST {
            return Err(LessonError::Long);
        }
        let file: File = toml::from_str(text)?;
        if file.steps.len() > STEPS {
            return Err(LessonError::Shape(format!("a lesson has at most {STEPS} steps")));
        }
        let link = Link::default().over(&file.link)?;
        if link.lesson.is_some() {
            return Err(LessonError::Shape("the link of a lesson names no other lesson".into()));
        }
        let steps = file.steps.into_iter().enumerate().map(|(index, step)| step.read(index + 1));
        Ok(Self {
            title: bounded("the title of the lesson", &file.title, TITLE)?,
            text: bounded("the text of the lesson", &file.text, TEXT)?,
            link,
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    /// The lesson of this name that ships.
    pub fn shipped(name: &str) -> Option<Result<Self, LessonError>> {
        let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
        Some(Self::parse(text))
    }
}

impl FileStep {
    /// The step, which is the `index`-th from 1.
    fn read(self, index: usize) -> Result<Step, LessonError> {
        let wait = self.wait.map(|wait| {
            let why = |why: String| LessonError::Wait { step: index, wait: wait.chars().take(40).collect(), why };
            Wait::parse(&wait).map_err(why)
        });
        let title = self.title.map(|title| bounded(&format!("the title of step {index}"), &title, TITLE));
        Ok(Step {
            title: title.transpose()?,
            text: bounded(&format!("the text of step {index}"), &self.text, TEXT)?,
            point: self.point,
            wait: wait.transpose()?,
        })
    }
}

impl Wait {
    /// Reads it as it stands in a file; on an error more about it, or nothing.
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((_, wait)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*wait);
        }
        if let Some(number) = text.strip_prefix("update").and_then(|rest| rest.trim_start().strip_prefix(">=")) {
            return number.trim().parse().map(Self::Update).map_err(|_| String::new());
        }
        match text.split_once(' ') {
            Some(("turned", name)) => match Param::find(name.trim()) {
                Ok(param) if param.live => Ok(Self::Turned(param.name)),
                Ok(param) => Err(format!("; {} cannot be turned while a run is going", param.name)),
                Err(error) => Err(format!("; {error}")),
            },
            Some(("chose", name)) => {
                let known = PRESETS.iter().map(|preset| preset.name);
                let preset = known.clone().find(|preset| *preset == name.trim());
                preset.map(Self::Chose).ok_or_else(|| hint(name, known))
            }
            _ => Err(String::new()),
        }
    }
}

impl fmt::Display for Wait {
    /// Writes it as it stands in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update(update) => write!(f, "update >= {update}"),
            Self::Turned(name) => write!(f, "turned {name}"),
            Self::Chose(name) => write!(f, "chose {name}"),
            _ => f.write_str(WORDS.iter().find(|(_, wait)| wait == self).map_or("", |(word, _)| word)),
        }
    }
}

/// Words that are there, and not too many; lines of a file are joined, paragraphs stay.
fn bounded(what: &str, text: &str, most: usize) -> Result<String, LessonError> {
    let paragraphs = text.trim().split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let text = paragraphs.collect::<Vec<_>>().join("\n\n");
    match text.chars().count() {
        0 => Err(LessonError::Shape(format!("{what} is empty"))),
        length if length > most => Err(LessonError::Shape(format!("{what} has {length} characters, more than {most}"))),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const SMALL: &str = "title = 'A'\ntext = '''\nOne\nline.\n\nAnother.'''\nlink = 'preset=collapse&lock=loss'\n";

    fn refused(text: &str) -> String {
        Lesson::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn a_lesson_is_read_with_its_link_and_steps() {
        let steps = "[[steps]]\ntext = 'B'\npoint = 'run'\nwait = 'update >= 3'\n[[steps]]\ntitle = 'T'\ntext = 'C'";
        let lesson = Lesson::parse(&format!("{SMALL}{steps}")).unwrap();
        assert_eq!((lesson.title.as_str(), lesson.text.as_str()), ("A", "One line.\n\nAnother."));
        assert_eq!((lesson.link.preset, lesson.link.lock.has("Loss")), (Some("collapse"), true));
        let [first, second] = &lesson.steps[..] else { panic!() };
        assert_eq!((first.point.as_deref(), first.wait), (Some("run"), Some(Wait::Update(3))));
        assert_eq!((second.title.as_deref(), second.wait), (Some("T"), None));
    }

    #[test]
    fn every_wait_comes_back_as_it_was_written() {
        let waits = [Wait::Update(12), Wait::Turned("lambda_fid"), Wait::Chose("instance-only")];
        for wait in waits.into_iter().chain(WORDS.map(|(_, wait)| wait)) {
            assert_eq!(Wait::parse(&wait.to_string()), Ok(wait));
        }
        assert_eq!(Wait::parse(" update>=3 "), Ok(Wait::Update(3)));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_step_and_the_nearest_name() {
        let step = |line: &str| refused(&format!("{SMALL}[[steps]]\ntext = 'B'\n{line}"));
        assert!(step("wait = 'turned lambda_fd'").contains("`lambda_fid`"));
        assert!(step("wait = 'turned seed'").contains("cannot be turned"));
        assert!(step("wait = 'chose colapse'").contains("`collapse`"));
        assert!(step("wait = 'update >= many'").contains("step 1"));
        assert!(step("wiat = 'ran'").contains("wiat"));
        assert!(refused(&SMALL.replace("lock=loss", "lock=lambda_fd")).contains("`lambda_fid`"));
        assert!(refused(&SMALL.replace("lock=loss", "lesson=diversity")).contains("no other lesson"));
        assert!(refused("title = ''\ntext = 'a'").contains("the title of the lesson is empty"));
        assert!(refused("text = 'a'").contains("title"));
        assert!(refused(&format!("title = '{}'\ntext = 'a'", "x".repeat(99))).contains("99 characters"));
        assert!(refused(&"#".repeat(LONGEST + 1)).contains("64 KiB"));
        assert!(refused(&format!("{SMALL}{}", "[[steps]]\ntext = 'B'\n".repeat(41))).contains("40 steps"));
    }

    #[test]
    fn every_file_among_the_lessons_ships_and_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/lessons");
        let mut count = 0;
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let lesson = Lesson::shipped(path.file_stem().unwrap().to_str().unwrap()).expect("ships");
            assert_eq!(lesson.unwrap(), Lesson::parse(&fs::read_to_string(&path).unwrap()).unwrap(), "{path:?}");
            count += 1;
        }
        assert_eq!(count, SHIPPED.len());
    }
}
