//! Words of the pane "Device and memory", and the report that it copies.

use std::fmt::Write as _;

use crate::platform::memory::{Memory, size};
use crate::session::forecast::{Moment, Use};
use crate::session::machine::{Drawing, Kind, Limits};
use crate::session::{Forecast, Machine};
use crate::ui::frames::{Frames, Percentiles, Pulse};

pub(in crate::ui) const TITLE: &str = "Device and memory";
pub(in crate::ui) const TITLE_HELP: &str = "What computes and what draws, how much memory is in use and will be, and how \
    fast the window is.";
pub(in crate::ui) const COPY: &str = "Copy report";
pub(in crate::ui) const COPY_HELP: &str = "Copy everything in this pane as text, for a report of an error.";
pub(in crate::ui) const COPIED: &str = "Copied";
pub(in crate::ui) const DEVICE: &str = "Device";
pub(in crate::ui) const OPENING: &str = "The device is being opened…";
pub(in crate::ui) const LIMITS: &str = "Limits";
pub(in crate::ui) const LIMITS_HELP: &str = "What the driver of the graphics device promises. The largest binding bounds the \
    largest tensor.";
pub(in crate::ui) const MEMORY: &str = "Memory in use";
pub(in crate::ui) const MEMORY_HELP: &str = "Main memory that this process occupies (its resident set), read from the system \
    twice a second.";
pub(in crate::ui) const NO_MEMORY: &str = "This system does not tell how much memory a program has.";
pub(in crate::ui) const IN_USE: &str = "in use";
pub(in crate::ui) const FORECAST: &str = "Forecast";
pub(in crate::ui) const FORECAST_HELP: &str = "What the run takes at its fullest moment, worked out from the settings and the \
    shapes of the networks before anything is loaded. On the CPU it agreed with measured memory within a tenth.";
pub(in crate::ui) const MARK: &str = "The mark shows the memory in use now.";
pub(in crate::ui) const ON_CARD: &str = "The networks of this run lie in the card's own memory, which its driver does not \
    report: the curve shows the program's part in main memory only.";
pub(in crate::ui) const FRAMES: &str = "Frame times";
pub(in crate::ui) const FRAMES_HELP: &str = "How long the window takes to lay out one frame and hand it to the graphics device, over the newest 300. Waiting for \
    the screen is not counted.";
pub(in crate::ui) const NO_FRAMES: &str = "no frames yet";
pub(in crate::ui) const HALF: (&str, &str) = ("half within", "Half of the frames took at most this long (p50).");
pub(in crate::ui) const MOST: (&str, &str) = ("95 % within", "Nineteen of twenty frames took at most this long (p95).");
pub(in crate::ui) const SLOWEST: (&str, &str) = ("slowest", "The slowest frame (max).");
pub(in crate::ui) const SHARE_HELP: &str = "Seconds of work in the updates against the time by the clock on the wall, over \
    all updates that followed another without a pause. The rest goes into evaluating, saving and showing.";

pub(in crate::ui) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Cpu => "processor",
        Kind::Discrete => "graphics card with its own memory",
        Kind::Integrated => "graphics in the processor, sharing its memory",
        Kind::Virtual => "graphics of a kind that its driver does not tell",
        Kind::Software => "software rasteriser: a program on the processor that behaves like a graphics device",
    }
}

pub(in crate::ui) fn drawing(drawing: &Drawing) -> String {
    match drawing {
        Drawing::Nothing => "no window is drawn".into(),
        Drawing::Same => "the same device draws this window".into(),
        Drawing::Other(other) => format!("{other} draws this window"),
        Drawing::Own => "the window draws with a device of its own".into(),
    }
}

/// The facts about a machine, each with its name.
pub(in crate::ui) fn facts(machine: &Machine) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Kind", kind(machine.kind).to_string())];
    let mut add = |name, text: &str| {
        if !text.is_empty() {
            facts.push((name, text.to_string()));
        }
    };
    add("Maker", &machine.vendor);
    add("Driver", &machine.driver);
    add("Reached by", &machine.api);
    add("Drawing", &drawing(&machine.drawing));
    if machine.kind != Kind::Cpu {
        add("Processor", machine.processor.as_deref().unwrap_or_default());
    }
    add("Threads", &machine.threads.to_string());
    add("Instructions", &machine.instructions);
    add("Main memory", &machine.memory.map(size).unwrap_or_default());
    add("System", machine.system.as_deref().unwrap_or_default());
    add("Artune", &machine.version);
    facts
}

/// The limits of a graphics device, each with its name.
pub(in crate::ui) fn limits(limits: &Limits) -> [(&'static str, String); 7] {
    let yes = |there: bool| if there { "yes" } else { "no" }.to_string();
    [
        ("Largest buffer", size(limits.max_buffer)),
        ("Largest binding", size(limits.max_binding)),
        ("Memory of a workgroup", size(limits.workgroup_memory.into())),
        ("Invocations in a workgroup", limits.workgroup_invocations.to_string()),
        ("Numbers of 16 bits (f16)", yes(limits.f16)),
        ("Subgroups", yes(limits.subgroups)),
        ("Timestamps", yes(limits.timestamps)),
    ]
}

/// The name of a part of the forecast, and what it is.
pub(in crate::ui) fn part(what: Use) -> (&'static str, &'static str) {
    match what {
        Use::Program => ("Program", "The program itself and the pictures it works with, as measured."),
        Use::Window => ("Window", "This window, its letters and pictures, as measured; less where a card draws it."),
        Use::Policy => ("Policy", "The weights being tuned."),
        Use::NewPolicy => ("New policy", "The weights that a step writes while the old ones are still in use."),
        Use::Optimiser => ("Optimiser", "AdamW's two moments of every weight."),
        Use::Reference => ("Reference", "The frozen pretrained model that the policy is held to."),
        Use::Tokenizer => ("Tokenizer", "The network that turns tokens into pictures."),
        Use::Rewards => ("Reward networks", "CLIP, the preference network, the feature network and the judge."),
        Use::Keyframes => ("Going back", "Earlier states of the policy, kept so that the run can be rewound."),
        Use::Gradients => ("Gradients", "Of every weight: the sum of all micro-batches so far."),
        Use::Cache => ("Rollout cache", "Keys and values of every token written; twice as many under guidance."),
        Use::Activations => (
            "Activations",
            "What the backward pass needs of every block. Shrinks with `micro_batch` and `checkpointing`.",
        ),
        Use::Logits => ("Logits", "Scores of every token of the vocabulary, and what is computed from them."),
        Use::Pictures => ("Pictures", "Pictures on their way through the tokenizer and the reward networks."),
        Use::Evaluation => ("Evaluation", "The network that evaluates, with 64 pictures on their way through it."),
        Use::Kept => ("Kept for reuse", "Memory of a phase that is over, which the allocator has not given back yet."),
    }
}

pub(in crate::ui) fn moment(moment: Moment) -> &'static str {
    match moment {
        Moment::Opening => "opening",
        Moment::Generate => "writing tokens",
        Moment::Reward => "scoring",
        Moment::OldLogProb => "log-probabilities",
        Moment::Train => "gradient step",
        Moment::Evaluation => "evaluation",
    }
}

pub(in crate::ui) fn forecast(forecast: &Forecast) -> String {
    format!("{} at its fullest ({})", size(forecast.total), moment(forecast.moment))
}

/// All moments in one line.
pub(in crate::ui) fn moments(forecast: &Forecast) -> String {
    let all: Vec<String> =
        forecast.moments.iter().map(|(when, bytes)| format!("{} {}", moment(*when), size(*bytes))).collect();
    format!("In all: {}", all.join("  ·  "))
}

/// What is in use, in figures.
pub(in crate::ui) fn memory(memory: &Memory) -> String {
    let peak = memory.peak.map(|peak| format!("at most {} so far  ·  ", size(peak))).unwrap_or_default();
    format!("{peak}{} of {} can be had", size(memory.available), size(memory.total))
}

/// Time since the window opened, at the axis.
pub(in crate::ui) fn passed(seconds: f64) -> String {
    if seconds < 1.0 { "0 s".into() } else { super::duration(seconds) }
}

/// A frame's time in milliseconds, with one digit where it is short.
pub(in crate::ui) fn milliseconds(seconds: f32) -> String {
    let ms = seconds * 1e3;
    if ms < 9.95 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

/// One bin of the histogram: from which to which time, and how many frames.
pub(in crate::ui) fn bin(from: Option<f32>, to: Option<f32>, count: usize, all: usize) -> String {
    let range = match (from, to) {
        (Some(from), Some(to)) => format!("{from} to {to} ms"),
        (None, Some(to)) => format!("at most {to} ms"),
        (Some(from), None) => format!("more than {from} ms"),
        (None, None) => "any time".into(),
    };
    format!("{count} of {all} frames took {range}")
}

pub(in crate::ui) fn share(share: f64, per_minute: f64) -> String {
    format!("The engine works {:.0} % of the time, {} updates a minute", share * 100.0, super::number(per_minute))
}

/// The corner of the bar: the newest typical frame, and memory.
pub(in crate::ui) fn corner(frame: Option<f32>, memory: Option<u64>) -> String {
    let frame = frame.map(|seconds| format!("frame {:.0} ms", (seconds * 1e3).max(1.0)));
    let parts: Vec<String> = frame.into_iter().chain(memory.map(size)).collect();
    parts.join(" · ")
}

pub(in crate::ui) const CORNER_HELP: &str = "Time to lay out a frame (half of the newest 300 were at least as fast) and memory \
    in use. Click for the device, the memory and the frame times.";

/// Everything as text, for a report of an error.
pub(in crate::ui) fn report(
    machine: Option<&Machine>,
    memory_now: Option<&Memory>,
    forecast_now: Option<&Forecast>,
    frames: (&Frames, Pulse),
) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<28}{value}");
    };
    if let Some(machine) = machine {
        line("Device", &machine.name);
        facts(machine).iter().for_each(|(name, value)| line(name, value));
        machine.limits.iter().flat_map(limits).for_each(|(name, value)| line(name, &value));
        machine.notice.iter().for_each(|notice| line("Notice", notice));
    }
    if let Some(now) = memory_now {
        line(MEMORY, &format!("{}  ·  {}", size(now.process), memory(now)));
    }
    if let Some(now) = forecast_now {
        line(FORECAST, &forecast(now));
        now.parts.iter().for_each(|p| line(&format!("  {}", part(p.what).0), &size(p.bytes)));
        now.moments.iter().for_each(|(when, bytes)| line(&format!("  in all, {}", moment(*when)), &size(*bytes)));
    }
    if let Some(Percentiles { p50, p95, max }) = frames.0.percentiles() {
        let [p50, p95, max] = [p50, p95, max].map(milliseconds);
        line(FRAMES, &format!("p50 {p50}, p95 {p95}, max {max} over {} frames", frames.0.len()));
    }
    if let (Some(part), Some(pace)) = (frames.1.share(), frames.1.per_minute()) {
        line("Engine", &share(part, pace));
    }
    text
}
