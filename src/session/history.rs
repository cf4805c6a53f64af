//! What a run has measured so far, as curves.

use std::collections::BTreeMap;

use super::protocol::Event;

/// Every scalar of a run against its update.
#[derive(Clone, Debug, Default)]
pub struct History {
    series: BTreeMap<String, Vec<[f64; 2]>>,
    knobs: Vec<(f64, String)>,
    update: u64,
}

impl History {
    /// Takes in what an event measured; other events change nothing.
    pub fn observe(&mut self, event: &Event) {
        let (update, metrics) = match event {
            Event::Update { update, metrics } | Event::Evaluation { update, metrics, .. } => (*update, metrics),
            Event::Changed { name, value } => {
                self.knobs.push((self.update as f64, format!("{name} = {value}")));
                return;
            }
            _ => return,
        };
        self.update = self.update.max(update);
        for (name, &value) in metrics.iter().filter(|(_, v)| v.is_finite()) {
            self.series.entry(name.clone()).or_default().push([update as f64, value]);
        }
    }

    /// Points `[update, value]` of one scalar, oldest first.
    pub fn series(&self, name: &str) -> &[[f64; 2]] {
        self.series.get(name).map_or(&[], Vec::as_slice)
    }

    /// Names of all scalars seen, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// The newest value of a scalar.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.series(name).last().map(|p| p[1])
    }

    /// Everything as a table: a column `update` and one per scalar, a line per update; an empty cell where nothing was
    /// measured.
    pub fn to_csv(&self) -> String {
        let mut lines: BTreeMap<u64, Vec<Option<f64>>> = BTreeMap::new();
        for (column, points) in self.series.values().enumerate() {
            for [update, value] in points {
                let line = lines.entry(*update as u64).or_insert_with(|| vec![None; self.series.len()]);
                line[column] = Some(*value);
            }
        }
        let head = std::iter::once("update".to_string()).chain(self.series.keys().cloned());
        let mut text = head.collect::<Vec<_>>().join(",") + "\n";
        for (update, cells) in lines {
            let cells = cells.into_iter().map(|cell| cell.map_or_else(String::new, |value| value.to_string()));
            text += &std::iter::once(update.to_string()).chain(cells).collect::<Vec<_>>().join(",");
            text.push('\n');
        }
        text
    }

    /// Updates at which a knob was turned, with what it became.
    pub fn knobs(&self) -> &[(f64, String)] {
        &self.knobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_grows_by_one_point_per_event_and_leaves_out_what_is_not_finite() {
        let mut history = History::default();
        for update in 1..=3 {
            let metrics = [("reward".into(), update as f64), ("kl".into(), f64::NAN)].into();
            history.observe(&Event::Update { update, metrics });
        }
        assert_eq!(history.series("reward"), [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]);
        assert!(history.series("kl").is_empty());
        assert_eq!(history.last("reward"), Some(3.0));
    }
}
