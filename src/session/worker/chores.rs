//! What is due after an update: measuring, showing the same seeds, saving, and the summary at the end.

use anyhow::Result;
use serde_json::json;

use super::super::checkpoint::{self, Saved};
use super::super::drawing::spread;
use super::super::evaluate::Request;
use super::super::inspect::Question;
use super::super::keyframes::Moment;
use super::super::protocol::{Event, Metrics};
use super::super::record::Record;
use super::super::sheets::Sheet;
use super::super::studio::Studio;
use super::{Engine, Pace};
use crate::platform::assets::AssetError;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::Outcome;

/// How far from 1 a ratio may be before the first inner step: rounding, on any device.
const RATIO_TOLERANCE: f64 = 1e-4;
/// Classes on a sheet at most, and samples of each.
const SHEET: (usize, usize) = (16, 4);
/// Pictures of a sheet that only a face sees, and those per row.
const SHOWN: (usize, usize) = (16, 8);

impl Engine {
    /// Makes the inner steps that are still to do: in their midst the weights belong to no update.
    pub(super) async fn finish_update(&mut self) -> Result<()> {
        while !self.studio.trainer.at_boundary() {
            let update = self.studio.trainer.update() + 1;
            if let Outcome::Update(metrics) = self.studio.trainer.advance().await?.outcome {
                if let Pace::Replaying(_) = self.pace {
                    self.studio.scene.commit(); // it has been completed before
                    continue;
                }
                // Completing may measure, which finishes an update first: by then there is none to finish.
                Box::pin(self.complete(update, metrics)).await?;
                if matches!(self.pace, Pace::Step(_)) {
                    self.pace = Pace::Waiting; // the step that was asked for ends here
                }
                self.tell_state();
            }
        }
        Ok(())
    }

    /// Everything that is due after an update.
    pub(super) async fn complete(&mut self, update: u64, metrics: Metrics) -> Result<()> {
        self.studio.scene.commit();
        for (name, what) in [
            ("samples_skipped", "samples had a reward that is not finite and were left out"),
            ("updates_skipped", "gradients were not finite and were not applied"),
        ] {
            if let Some(n) = metrics.get(name).filter(|n| **n > 0.0) {
                self.say(Event::Warning(format!("update {update}: {n} {what}")));
            }
        }
        let deviation = metrics.get("ratio/max_deviation/first").copied().unwrap_or(0.0);
        if deviation > RATIO_TOLERANCE && !self.studio.trainer.config().quirk_label_dropout {
            self.say(Event::Warning(format!(
                "update {update}: before its first step a ratio was {deviation:.1e} away from 1; this device computes \
                 the same pass in two ways, and the loss is off by as much"
            )));
        }
        if let Some(record) = &self.record {
            record.line(update, &metrics, None)?;
        }
        self.say(Event::Update { update, metrics });
        let config = self.studio.trainer.config();
        let last = update >= config.updates;
        let due = |every: u64| every > 0 && (last || update.is_multiple_of(every));
        let (evaluate, sheet) = (due(config.eval_every), due(config.sample_every));
        let save = last || due(config.checkpoint_every);
        if evaluate {
            self.measure().await?;
        }
        if sheet {
            self.sheet().await?;
        }
        if save {
            self.save().await?;
        }
        if last {
            self.summarise()?;
        }
        self.keep_frame().await
    }

    pub(super) async fn measure(&mut self) -> Result<()> {
        self.finish_update().await?;
        let trainer = &self.studio.trainer;
        let (update, config) = (trainer.update(), trainer.config());
        let request = Request {
            samples: config.eval_samples as usize,
            guidance: config.eval_guidance,
            temperature: 1.0,
            seed: config.seed,
        };
        if self.options.watched {
            self.say(Event::Notice(format!("measuring {} samples…", request.samples)));
        }
        let evaluation = match self.studio.evaluate(&request).await {
            // A page has to fetch the network for it: the run goes on without.
            Err(error) if error.downcast_ref::<AssetError>().is_some() => {
                self.say(Event::Warning(format!("nothing was measured: {error:#}")));
                return Ok(());
            }
            measured => measured?,
        };
        if let Some(record) = &self.record {
            record.line(update, &evaluation.metrics, Some(&evaluation.protocol))?;
        }
        self.say(Event::Evaluation { update, metrics: evaluation.metrics, protocol: evaluation.protocol });
        Ok(())
    }

    /// A sheet of samples: always the same classes, seeds and guidance. It goes to the run folder, and to a face that
    /// looks on.
    pub(super) async fn sheet(&self) -> Result<()> {
        if self.record.is_none() && !self.options.watched {
            return Ok(());
        }
        let trainer = &self.studio.trainer;
        let (config, family) = (trainer.config(), &trainer.family().config);
        let (update, side, count) = (trainer.update(), family.side, family.gpt.num_classes());
        let (classes, columns): (Vec<usize>, _) = match &self.record {
            Some(_) => {
                let (most, each) = SHEET;
                (spread(count, most).flat_map(|class| std::iter::repeat_n(class, each)).collect(), 4 * each)
            }
            None => ((0..SHOWN.0).map(|i| i * count / SHOWN.0).collect(), SHOWN.1),
        };
        let sampling = SamplingConfig { guidance: config.eval_guidance, ..SamplingConfig::default() };
        let pictures = self.studio.sample(&classes, config.seed, &sampling).await?;
        if let Some(record) = &self.record {
            record.samples(update, &pictures, side, columns)?;
        }
        if self.options.watched {
            self.say(Event::Sheet(Box::new(Sheet { update, side, columns, classes, pictures })));
        }
        Ok(())
    }

    pub(super) async fn save(&mut self) -> Result<()> {
        self.finish_update().await?;
        let Some(record) = &self.record else {
            self.say(Event::Notice("nothing is saved: this session has no run folder".into()));
            return Ok(());
        };
        let Studio { trainer, origin, .. } = &self.studio;
        let (config, origin) = (trainer.config().clone(), origin.clone());
        let saved = Saved { config, origin, seconds: self.seconds(), state: trainer.state().await? };
        let path = checkpoint::save(&Record::checkpoints(record.folder()), saved)?;
        self.say(Event::Saved { path });
        Ok(())
    }

    /// Writes the newest keyframe to the run folder, with the knobs as they were turned since, if it is newer than what
    /// lies there: the device may be gone, but this is in memory. A run in which nothing was made is not kept, as in
    /// [`Self::close`].
    pub(super) fn rescue(&mut self) {
        let Some(record) = &self.record else { return };
        let (folder, seconds) = (Record::checkpoints(record.folder()), self.seconds());
        let written = checkpoint::available(&folder).last().map(|(update, _)| *update);
        let Some(newest) = self.time.keyframes.updates().last().copied().filter(|newest| written < Some(*newest))
        else {
            return;
        };
        let Some(Moment { mut config, state, .. }) = self.time.keyframes.before(newest) else { return };
        if newest == self.opened_at && !self.options.resume {
            return;
        }
        for turn in self.time.keyframes.turns(newest) {
            // It was taken when it was turned.
            let _ = config.set(&turn.name, &turn.value);
        }
        let origin = self.studio.origin.clone();
        match checkpoint::save(&folder, Saved { config, origin, seconds, state }) {
            Ok(path) => self.say(Event::Saved { path }),
            Err(error) => self.say(Event::Warning(format!("the last update could not be saved: {error:#}"))),
        }
    }

    /// Answers a question about a sample. One that has no answer never stops the run.
    pub(super) async fn inspect(&mut self, question: Question) {
        let checkpoints = self.record.as_ref().map(|record| Record::checkpoints(record.folder()));
        let answer = self.studio.inspect(&question, checkpoints.as_deref(), &self.time.keyframes).await;
        self.say(match answer {
            Ok(inspection) => Event::Inspected(Box::new(inspection)),
            Err(error) => Event::NotInspected { question, why: format!("{error:#}") },
        });
    }

    /// Seconds of this run, earlier sessions included.
    pub(super) fn seconds(&self) -> f64 {
        self.studio.seconds + self.started.seconds()
    }

    pub(super) fn summarise(&self) -> Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        let trainer = &self.studio.trainer;
        let evaluations = record.evaluations();
        record.summary(&json!({
            "updates": trainer.update(),
            "seconds": self.seconds(),
            "device": self.device_label,
            "origin": self.studio.origin,
            "config": trainer.config(),
            // Only the untouched model is "before".
            "before": evaluations.first().filter(|e| e["update"] == 0),
            "after": evaluations.last().filter(|e| e["update"] == trainer.update()),
        }))
    }

    pub(super) async fn close(&mut self) -> Result<()> {
        if let Pace::Replaying(_) = self.pace {
            return Ok(()); // the run that was left has been saved, and the other has not begun
        }
        self.finish_update().await?;
        // Whoever asked for a run can go on with it from its very start; a window that was only opened leaves nothing.
        if self.studio.trainer.update() == self.opened_at && self.options.watched && !self.options.resume {
            self.record.take().into_iter().for_each(Record::discard);
        }
        if self.record.is_some() {
            self.save().await?;
            self.summarise()?;
        }
        Ok(())
    }
}
