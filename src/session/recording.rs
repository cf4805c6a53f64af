//! A recorded run: what a face was told, kept so that it can be looked at without an engine.

use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::handle::start;
use super::protocol::{Command, Event, Gallery, Options, State};
use crate::platform::assets::{self, Asset};

/// A recording unpacks to no more than this.
const LARGEST: u64 = 64 << 20;

/// What was told during a run: its measurements in order, and its last pictures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// The device that computed, in words.
    pub device: String,
    /// The settings, as a link has them: what differs from the defaults.
    pub settings: String,
    /// Updates, evaluations and turned knobs.
    pub events: Vec<Event>,
    /// The last pictures that were learnt from.
    pub gallery: Gallery,
}

impl Recording {
    /// The recording that ships: a run of the default settings on the small model.
    ///
    /// # Errors
    /// Where a page has not fetched it. Otherwise never, unless the file in `assets/` is damaged.
    pub fn shipped() -> Result<Self> {
        Self::from_bytes(assets::get(Asset::Recording)?).context(Asset::Recording.path())
    }

    /// Reads a recording.
    ///
    /// # Errors
    /// Where it is damaged or unreasonably large.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut text = String::new();
        let read = GzDecoder::new(bytes).take(LARGEST + 1).read_to_string(&mut text)?;
        ensure!(read as u64 <= LARGEST, "the recording unpacks to more than {} MB", LARGEST >> 20);
        Ok(serde_json::from_str(&text)?)
    }

    /// The recording as a file.
    ///
    /// # Errors
    /// Where it cannot be packed.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut packed = GzEncoder::new(vec![], Compression::best());
        packed.write_all(serde_json::to_string(self)?.as_bytes())?;
        Ok(packed.finish()?)
    }

    /// Makes the run that `options` describe and records it; `told` hears every event meanwhile.
    ///
    /// # Errors
    /// Where the run cannot start or cannot go on.
    pub fn of(options: Options, mut told: impl FnMut(&Event)) -> Result<Self> {
        let settings = options.config.share_text();
        let session = start(Options { autostart: true, watched: true, keyframe_bytes: 0, ..options });
        let (mut device, mut events, mut gallery) = (String::new(), vec![], Gallery::default());
        session.send(Command::Evaluate);
        while let Some(event) = session.wait() {
            told(&event);
            let shown = session.gallery.take().map(|exhibit| exhibit.gallery);
            // A number that is not finite could be written but not read back.
            let scored = |g: &Gallery| {
                let samples = g.groups.iter().flat_map(|group| &group.samples);
                samples.clone().all(|s| s.advantage.is_some() && s.rewards.iter().all(|(_, score)| score.is_finite()))
            };
            gallery = shown.filter(scored).unwrap_or(gallery);
            match finite(event) {
                Event::Ready { device: on, .. } => device = on,
                Event::Failed { error, .. } => anyhow::bail!(error),
                Event::State(State::Finished) => session.send(Command::Quit),
                Event::State(State::Ended) => break,
                event @ (Event::Update { .. } | Event::Evaluation { .. } | Event::Changed { .. }) => events.push(event),
                _ => {}
            }
        }
        Ok(Self { device, settings, events, gallery })
    }
}

/// The event without figures that are not finite.
fn finite(mut event: Event) -> Event {
    if let Event::Update { metrics, .. } | Event::Evaluation { metrics, .. } = &mut event {
        metrics.retain(|_, value| value.is_finite());
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_that_ships_has_curves_and_scored_pictures() {
        let recording = Recording::shipped().unwrap();
        let updates = recording.events.iter().filter(|e| matches!(e, Event::Update { .. })).count();
        assert!(updates >= 20, "{updates} updates");
        assert!(recording.events.iter().any(|e| matches!(e, Event::Evaluation { update: 0, .. })));
        let samples = recording.gallery.groups.iter().flat_map(|group| &group.samples);
        assert!(samples.clone().count() >= 32 && samples.clone().all(|s| s.advantage.is_some() && !s.rgb.is_empty()));
        assert!(Asset::Recording.bytes() < 600_000, "{} bytes", Asset::Recording.bytes());
    }

    #[test]
    fn damaged_recordings_are_refused() {
        let whole = assets::get(Asset::Recording).unwrap();
        assert!(Recording::from_bytes(b"").is_err());
        assert!(Recording::from_bytes(&whole[..whole.len() / 2]).is_err());
    }
}
