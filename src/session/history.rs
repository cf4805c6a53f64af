//! What a run has measured so far, as curves.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::protocol::{Event, Metrics};
use super::pyramid::Pyramid;

/// Points that one curve holds: one for each update that a run can have, and one for the untouched model. A point
/// takes 18 bytes (see [`Pyramid`]), so 60 scalars over 100,000 updates take 108 MB, and with the room that a growing
/// list keeps spare at most 140 MB.
const MOST_POINTS: usize = 100_001;
/// Curves that are held; a run of today measures about 60. With all of them full: 230 MB, and at most 300 MB.
const MOST_CURVES: usize = 128;
/// Turned knobs that are held; the oldest go first.
const MOST_KNOBS: usize = 10_000;
/// Lines that a reading complains about one by one; the others are counted.
const MOST_COMPLAINTS: usize = 20;

/// Every scalar of a run against its update. Its memory is bounded: what is beyond the bounds is left out.
#[derive(Clone, Debug, Default)]
pub struct History {
    curves: BTreeMap<String, Pyramid>,
    knobs: Vec<(f64, String)>,
    update: u64,
    protocol: String,
    edition: u64,
}

impl History {
    /// Takes in what an event measured; other events change nothing.
    pub fn observe(&mut self, event: &Event) {
        match event {
            Event::Update { update, metrics } => self.measured(*update, metrics),
            Event::Evaluation { update, metrics, protocol } => {
                self.measured(*update, metrics);
                self.protocol.clone_from(protocol);
            }
            Event::Changed { name, value } => self.turned(self.update, name, value),
            _ => {}
        }
    }

    /// Reads the `metrics.jsonl` of a run folder: one line for each update, evaluation and turned knob. Damaged lines
    /// are left out, and the second value names them by their numbers, from 1; where there are many, the rest are
    /// counted.
    pub fn read_jsonl(text: &str) -> (Self, Vec<String>) {
        let mut history = Self::default();
        let mut complaints = Vec::new();
        let mut more = 0usize;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let Err(why) = history.read_line(line) else { continue };
            match complaints.len() < MOST_COMPLAINTS {
                true => complaints.push(format!("line {} was left out: {why}", index + 1)),
                false => more += 1,
            }
        }
        if more > 0 {
            complaints.push(format!("{more} more lines were left out"));
        }
        (history, complaints)
    }

    fn read_line(&mut self, line: &str) -> Result<(), &'static str> {
        let line: Map<String, Value> = serde_json::from_str(line).map_err(|_| "it is not a JSON object")?;
        let update = line.get("update").and_then(Value::as_u64).ok_or("it has no update")?;
        let words = |key| line.get(key).and_then(Value::as_str);
        if let Some(name) = words("changed") {
            self.turned(update, name, words("value").ok_or("it has no value")?);
            return Ok(());
        }
        // A value that is not finite has no form in JSON and stands as null: a gap, as in the run itself.
        let scalars = line.iter().filter(|(name, _)| *name != "update");
        let metrics = scalars.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        self.measured(update, &metrics);
        if let Some(protocol) = words("protocol") {
            self.protocol = protocol.into();
        }
        Ok(())
    }

    fn measured(&mut self, update: u64, metrics: &Metrics) {
        self.update = self.update.max(update);
        let x = update as f64;
        for (name, &value) in metrics.iter().filter(|(_, v)| v.is_finite()) {
            if !self.curves.contains_key(name) && self.curves.len() >= MOST_CURVES {
                continue;
            }
            let curve = self.curves.entry(name.clone()).or_default();
            // What is measured again, after an update was undone or by a second evaluation, stands once.
            if curve.points().last().is_some_and(|last| last[0] >= x) {
                curve.truncate(curve.points().partition_point(|p| p[0] < x));
                self.edition += 1;
            }
            if curve.points().len() < MOST_POINTS {
                curve.push([x, value]);
            }
        }
    }

    fn turned(&mut self, update: u64, name: &str, value: &str) {
        if self.knobs.len() >= MOST_KNOBS {
            self.knobs.remove(0);
        }
        self.knobs.push((update as f64, format!("{name} = {value}")));
    }

    /// Forgets what was measured after `update` updates, and what was turned since then.
    pub fn truncate(&mut self, update: u64) {
        let x = update as f64;
        for curve in self.curves.values_mut() {
            curve.truncate(curve.points().partition_point(|p| p[0] <= x));
        }
        self.curves.retain(|_, curve| !curve.points().is_empty());
        self.knobs.retain(|(at, _)| *at < x);
        self.update = self.update.min(update);
        self.edition += 1;
    }

    /// A table of comma-separated values: one row for each update at which anything was measured, one column for each
    /// scalar, an empty field where it was not measured.
    pub fn to_csv(&self) -> String {
        let mut table = String::from("update");
        for name in self.names() {
            table.push(',');
            match name.contains([',', '"', '\n', '\r']) {
                true => _ = write!(table, "\"{}\"", name.replace('"', "\"\"")),
                false => table.push_str(name),
            }
        }
        table.push('\n');
        let mut rest: Vec<&[[f64; 2]]> = self.curves.values().map(Pyramid::points).collect();
        while let Some(update) = rest.iter().filter_map(|points| points.first()).map(|p| p[0]).min_by(f64::total_cmp) {
            _ = write!(table, "{update}");
            for points in &mut rest {
                table.push(',');
                if let [[x, value], later @ ..] = points
                    && *x == update
                {
                    _ = write!(table, "{value}");
                    *points = later;
                }
            }
            table.push('\n');
        }
        table
    }

    /// Points `[update, value]` of one scalar, oldest first.
    pub fn series(&self, name: &str) -> &[[f64; 2]] {
        self.curve(name).map_or(&[], Pyramid::points)
    }

    /// The curve of one scalar.
    pub fn curve(&self, name: &str) -> Option<&Pyramid> {
        self.curves.get(name)
    }

    /// Names of all scalars seen, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.curves.keys().map(String::as_str)
    }

    /// The newest value of a scalar.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.series(name).last().map(|p| p[1])
    }

    /// Updates at which a knob was turned, with what it became; oldest first.
    pub fn knobs(&self) -> &[(f64, String)] {
        &self.knobs
    }

    /// The newest update of which anything is known.
    pub fn update(&self) -> u64 {
        self.update
    }

    /// How the newest evaluation was made; empty where there is none.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Grows whenever a curve changes otherwise than by a new point at its end: what was derived from it is then void.
    pub fn edition(&self) -> u64 {
        self.edition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(update: u64, metrics: &[(&str, f64)]) -> Event {
        Event::Update { update, metrics: metrics.iter().map(|(name, value)| (name.to_string(), *value)).collect() }
    }

    fn turned(name: &str, value: &str) -> Event {
        Event::Changed { name: name.into(), value: value.into() }
    }

    fn history(events: impl IntoIterator<Item = Event>) -> History {
        let mut history = History::default();
        events.into_iter().for_each(|event| history.observe(&event));
        history
    }

    #[test]
    fn a_series_grows_by_one_point_per_event_and_leaves_out_what_is_not_finite() {
        let history = history((1..=3).map(|u| update(u, &[("reward", u as f64), ("kl", f64::NAN)])));
        assert_eq!(history.series("reward"), [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]);
        assert!(history.series("kl").is_empty());
        assert_eq!((history.last("reward"), history.update()), (Some(3.0), 3));
    }

    #[test]
    fn what_is_measured_again_replaces_what_stood_there() {
        let mut history = history((1..=5).map(|u| update(u, &[("reward", 1.0), ("kl", 1.0)])));
        let edition = history.edition();
        history.observe(&update(3, &[("reward", 9.0)]));
        assert_eq!(history.series("reward"), [[1.0, 1.0], [2.0, 1.0], [3.0, 9.0]]);
        assert_eq!(history.series("kl").len(), 5, "only what was measured again");
        assert!(history.edition() > edition);
    }

    #[test]
    fn a_rewound_history_knows_nothing_of_later_updates() {
        let events = [update(1, &[("reward", 1.0)]), turned("beta", "2"), update(2, &[("reward", 2.0), ("late", 1.0)])];
        let mut history = history(events.into_iter().chain([turned("beta", "1"), update(3, &[("reward", 3.0)])]));
        history.truncate(1);
        assert_eq!(history.series("reward"), [[1.0, 1.0]]);
        assert_eq!(history.names().collect::<Vec<_>>(), ["reward"]);
        assert!(history.knobs().is_empty(), "what was turned after update 1 is not in force any more");
        history.observe(&turned("beta", "7"));
        assert_eq!(history.knobs()[0].0, 1.0, "knobs are turned at the update that it went back to");
    }

    #[test]
    fn a_table_has_one_row_per_update_and_is_empty_where_nothing_was_measured() {
        let evaluation =
            Event::Evaluation { update: 0, metrics: [("eval/fd".into(), 41.5)].into(), protocol: String::new() };
        let events = [evaluation, update(1, &[("kl", 0.25), ("a,b", 2.0)]), update(2, &[("kl", 1e-7)])];
        assert_eq!(history(events).to_csv(), "update,\"a,b\",eval/fd,kl\n0,,41.5,\n1,2,,0.25\n2,,,0.0000001\n");
        assert_eq!(History::default().to_csv(), "update\n");
    }

    #[test]
    fn a_metrics_file_is_read_and_its_damaged_lines_are_named() {
        let text = concat!(
            r#"{"update":0,"protocol":"FD, N = 256","eval/fd":40.5}"#,
            "\n",
            r#"{"update":1,"reward":0.5,"kl":null}"#,
            "\n\n",
            r#"{"update":1,"changed":"beta","value":"2"}"#,
            "\n",
            r#"{"update":2,"rew"#,
            "\n",
            r#"{"reward":1}"#,
            "\n",
            r#"{"update":-1,"reward":1}"#,
            "\n[1]\n",
            r#"{"update":2,"reward":0.75}"#,
        );
        let (history, complaints) = History::read_jsonl(text);
        assert_eq!(history.series("reward"), [[1.0, 0.5], [2.0, 0.75]]);
        assert_eq!(history.series("eval/fd"), [[0.0, 40.5]]);
        assert_eq!(history.names().count(), 2);
        assert_eq!((history.protocol(), history.knobs()), ("FD, N = 256", &[(1.0, "beta = 2".to_string())][..]));
        let begins = complaints.iter().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>();
        assert_eq!(begins, [5, 6, 7, 8].map(|n| format!("line {n} was left out")));
    }

    #[test]
    fn a_file_of_rubbish_is_complained_about_briefly() {
        let (history, complaints) = History::read_jsonl(&"rubbish\n".repeat(1000));
        assert_eq!(history.names().count(), 0);
        assert_eq!(complaints.len(), MOST_COMPLAINTS + 1);
        assert_eq!(complaints.last().unwrap(), "980 more lines were left out");
    }

    #[test]
    fn memory_is_bounded_whatever_is_measured() {
        let names: Vec<String> = (0..MOST_CURVES + 9).map(|i| format!("metric {i}")).collect();
        let metrics: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        let mut history = history([update(1, &metrics)]);
        assert_eq!(history.names().count(), MOST_CURVES);
        let name = history.names().next().unwrap().to_string();
        (2..=MOST_POINTS as u64 + 9).for_each(|u| history.observe(&update(u, &[(&name, 1.0)])));
        assert_eq!(history.series(&name).len(), MOST_POINTS);
        (0..MOST_KNOBS + 9).for_each(|i| history.observe(&turned("beta", &i.to_string())));
        assert_eq!(history.knobs().len(), MOST_KNOBS);
        assert_eq!(history.knobs()[0].1, "beta = 9");
    }
}
