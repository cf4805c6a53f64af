//! A lesson as the Learn pane reads it: its text first, then its steps.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::config::Lesson;
use crate::config::lesson::{Step, Wait};
use crate::ui::anchor;
use crate::ui::course::{Course, Leaf};
use crate::ui::text::teach as words;
use crate::ui::tour::Deed;

/// A lesson, and the reader's place in it.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    lesson: Lesson,
    /// Titles of the steps that have none of their own.
    titles: Vec<String>,
    at: usize,
    done: BTreeSet<usize>,
    /// Updates that the run at hand has made.
    updates: u64,
}

impl Reading {
    /// A lesson from its beginning, and what is wrong with it: what points at nothing points nowhere.
    pub(super) fn new(mut lesson: Lesson) -> (Self, Vec<String>) {
        let mut complaints = vec![];
        for (index, step) in lesson.steps.iter_mut().enumerate() {
            if let Some(name) = step.point.take_if(|name| !anchor::is_known(name)) {
                complaints.push(words::points_nowhere(index + 1, &name, &anchor::nearest(&name)));
            }
        }
        let titles = (1..=lesson.steps.len()).map(words::step).collect();
        (Self { lesson, titles, at: 0, done: BTreeSet::new(), updates: 0 }, complaints)
    }

    /// The step on a page; the first page is the lesson's own text.
    fn step(&self, page: usize) -> Option<&Step> {
        self.lesson.steps.get(page.checked_sub(1)?)
    }
}

impl Course for Reading {
    fn pages(&self) -> usize {
        self.lesson.steps.len() + 1
    }

    fn leaf_of(&self, page: usize) -> Leaf<'_> {
        let Some(step) = self.step(page) else {
            let Lesson { title, text, .. } = &self.lesson;
            return Leaf { title, body: text, ask: Cow::Borrowed(""), anchor: None };
        };
        let title = step.title.as_ref().unwrap_or(&self.titles[page - 1]);
        let ask = match (step.wait, &step.point) {
            (Some(wait), _) => Cow::Owned(words::asks(wait)),
            (None, Some(_)) => Cow::Borrowed(words::LOOK),
            (None, None) => Cow::Borrowed(""),
        };
        Leaf { title, body: &step.text, ask, anchor: step.point.as_deref() }
    }

    fn at(&self) -> usize {
        self.at
    }

    fn is_done(&self, page: usize) -> bool {
        self.done.contains(&page)
    }

    fn turn_to(&mut self, page: usize) {
        self.at = page.min(self.pages() - 1);
    }

    fn note(&mut self, deed: &Deed) -> bool {
        let wanted = self.step(self.at).and_then(|step| step.wait).is_some_and(|wait| meets(wait, deed));
        if wanted {
            self.done.insert(self.at);
        }
        wanted
    }

    fn read(&mut self) {
        if self.step(self.at).is_none_or(|step| step.wait.is_none()) {
            self.done.insert(self.at);
        }
    }

    fn start_over(&mut self) {
        self.at = 0;
        self.done.clear();
    }

    fn saw(&mut self, update: u64) {
        self.updates = update;
    }

    fn is_met(&mut self) -> bool {
        !self.is_done(self.at) && self.note(&Deed::SawUpdate(self.updates))
    }
}

/// Whether this deed is what a step waits for.
fn meets(wait: Wait, deed: &Deed) -> bool {
    match (wait, deed) {
        (Wait::Update(wanted), Deed::SawUpdate(update)) => *update >= wanted,
        (Wait::Turned(wanted), Deed::Turned(name)) => name == wanted,
        (Wait::Chose(wanted), Deed::ChosePreset(name)) => name == wanted,
        (Wait::Ran, Deed::Ran)
        | (Wait::Paused, Deed::Paused)
        | (Wait::Evaluated, Deed::Evaluated)
        | (Wait::Inspected, Deed::Inspected)
        | (Wait::Rewound, Deed::Rewound)
        | (Wait::Saved, Deed::Saved) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lesson::SHIPPED;

    fn reading(steps: &str) -> Reading {
        Reading::new(Lesson::parse(&format!("title = 'A'\ntext = 'B'\n{steps}")).unwrap()).0
    }

    #[test]
    fn lessons_that_ship_point_at_what_there_is() {
        for (name, _) in SHIPPED {
            let lesson = Lesson::shipped(name).unwrap().unwrap();
            assert!(lesson.steps.len() >= 3, "{name}");
            assert_eq!(Reading::new(lesson).1, Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn a_step_that_points_at_nothing_is_told_with_the_nearest_name() {
        let lesson = "title = 'A'\ntext = 'B'\n[[steps]]\ntext = 'C'\npoint = 'curve/diversity'";
        let (reading, complaints) = Reading::new(Lesson::parse(lesson).unwrap());
        assert!(complaints[0].contains("Step 1") && complaints[0].contains("`curve/Diversity`"), "{complaints:?}");
        assert_eq!(reading.leaf_of(1).anchor, None);
    }

    #[test]
    fn a_step_goes_on_by_what_it_waits_for_and_by_nothing_else() {
        let mut reading = reading("[[steps]]\ntext = 'C'\nwait = 'turned beta'\n[[steps]]\ntext = 'D'");
        assert_eq!((reading.pages(), reading.leaf().title, reading.is_begun()), (3, "A", false));
        reading.read();
        reading.turn_to(1);
        reading.read();
        assert!(reading.is_done(0) && !reading.is_done(1), "reading is not turning");
        assert!(!reading.note(&Deed::Turned("lambda_fid".into())) && !reading.note(&Deed::SawUpdate(9)));
        assert!(reading.note(&Deed::Turned("beta".into())) && reading.is_done(1));
        assert_eq!((reading.leaf().title, reading.leaf().ask.as_ref()), ("Step 1", "Turn Beta."));
        reading.start_over();
        assert!(!reading.is_begun());
    }

    #[test]
    fn an_update_that_was_made_before_counts() {
        let mut reading = reading("[[steps]]\ntext = 'C'\nwait = 'update >= 3'");
        reading.turn_to(1);
        reading.saw(2);
        assert!(!reading.is_met());
        reading.saw(3);
        assert!(reading.is_met() && reading.is_done(1));
        assert!(!reading.is_met(), "once");
    }
}
