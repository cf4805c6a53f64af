//! The state of the window in plain data, for scripts and tests of the page.

use eframe::egui::Context;
use serde_json::{Map, Value, json};

use super::App;
use crate::config::{PARAMS, Value as Setting};
use crate::session::State;
use crate::ui::anchor::{self, Sight};

impl App {
    /// What the window shows: state, update, device, the newest error, every curve, the settings, the pictures' number and tokens, and where (x, y, width, height, in points) what can be pointed at is.
    pub fn status(&self, ctx: &Context) -> Value {
        let history = self.history();
        let series: Map<String, Value> =
            history.names().map(|name| (name.to_string(), json!(history.series(name)))).collect();
        let config = self.controls.config();
        let settings: Map<String, Value> =
            PARAMS.iter().filter_map(|p| Some((p.name.to_string(), plain(config.get(p.name)?)))).collect();
        let anchors: Map<String, Value> = anchor::names()
            .filter_map(|name| match anchor::sight(ctx, &name) {
                Sight::Shown(r) => Some((name, json!([r.min.x, r.min.y, r.width(), r.height()]))),
                _ => None,
            })
            .collect();
        let gallery = self.gallery.gallery();
        let samples = || gallery.groups.iter().flat_map(|group| &group.samples);
        json!({
            "state": match self.bar.state {
                State::Loading => "loading",
                State::Paused => "paused",
                State::Running => "running",
                State::Finished => "finished",
                State::Ended => "ended",
            },
            "update": self.begun.as_ref().map(|_| self.bar.update),
            "device": self.bar.device,
            "error": self.log.failure.as_ref().map(|failure| &failure.error),
            "recorded": self.recorded.is_some(),
            "series": series,
            "config": settings,
            "anchors": anchors,
            "gallery": {
                "update": gallery.update,
                "pictures": samples().count(),
                "tokens": samples().map(|sample| &sample.tokens).collect::<Vec<_>>(),
            },
        })
    }
}

/// A setting's value as JSON has it.
fn plain(value: Setting) -> Value {
    match value {
        Setting::Float(x) => json!(x),
        Setting::Int(n) => json!(n),
        Setting::Bool(on) => json!(on),
        Setting::Text(text) => json!(text),
    }
}
