//! The table of parameters. To add one, add an entry here: everything else follows.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::networks::{CLIPS, FEATURES, NONE, POLICIES, PREFERENCES, TOKENIZERS};
use super::{ConfigError, Kind, Param, Value};

/// Generates [`RunConfig`], its defaults, [`PARAMS`] and access by name from one table.
///
/// An entry reads: documentation, `name: type = default, permitted values, unit, live or fixed;`.
macro_rules! params {
    ($($group:literal {
        $($(#[doc = $doc:literal])+ $name:ident: $ty:ident = $default:expr, $kind:expr, $unit:literal, $live:ident;)+
    })+) => {
        /// Every setting of a run. A plain value: two equal configs give the same run.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct RunConfig {
            $($($(#[doc = $doc])+ pub $name: $ty,)+)+
        }

        impl Default for RunConfig {
            fn default() -> Self {
                Self { $($($name: params!(@owned $ty $default),)+)+ }
            }
        }

        /// The table: one entry per field of [`RunConfig`], in the order in which they are shown.
        pub static PARAMS: &[Param] = &[
            $($(Param {
                name: stringify!($name),
                doc: concat!($($doc),+).trim_ascii(),
                unit: $unit,
                group: $group,
                kind: $kind,
                live: params!(@live $live),
                default: params!(@value $ty $default),
            },)+)+
        ];

        impl RunConfig {
            /// The value of a parameter; `None` where there is none of that name.
            pub fn get(&self, name: &str) -> Option<Value> {
                match name {
                    $($(stringify!($name) => Some(self.$name.to_value()),)+)+
                    _ => None,
                }
            }

            /// Puts a value that [`Param::check`] has passed into its field; any other changes nothing.
            pub(super) fn assign(&mut self, name: &str, value: Value) {
                match name {
                    $($(stringify!($name) => if let Some(value) = Field::from_value(value) { self.$name = value },)+)+
                    _ => {}
                }
            }
        }
    };
    (@owned String $default:expr) => { String::from($default) };
    (@owned $ty:ident $default:expr) => { $default };
    (@value f64 $default:expr) => { Value::Float($default) };
    (@value bool $default:expr) => { Value::Bool($default) };
    (@value String $default:expr) => { Value::Text(Cow::Borrowed($default)) };
    (@value $ty:ident $default:expr) => { Value::Int($default) };
    (@live live) => { true };
    (@live fixed) => { false };
}

const fn linear(min: f64, max: f64) -> Kind {
    Kind::Float { min, max, log: false }
}

const fn log(min: f64, max: f64) -> Kind {
    Kind::Float { min, max, log: true }
}

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max }
}

params! {
    "Run" {
        /// Seed of every random number: the same seed gives the same run.
        seed: u64 = 0, int(0, i64::MAX), "", fixed;
        /// How many updates to make (paper code: 600).
        updates: u64 = 50, int(1, 100_000), "updates", live;
        /// Which classes to draw prompts from: `all`, or class names with commas between (ours).
        classes: String = "all", Kind::Text, "", fixed;
    }
    "Networks" {
        /// What is tuned: `small` ships and tunes anywhere, `tiny` is for tests and software adapters, the others are
        /// published and come from files (paper code: llamagen-l).
        model: String = "small", Kind::Choice(POLICIES), "", fixed;
        /// What turns pictures into tokens and back: `own` is what belongs to the model (paper code: vq-16).
        tokenizer: String = "own", Kind::Choice(TOKENIZERS), "", fixed;
        /// Whose score of the match with the prompt is paid: `own` is what belongs to the model, `none` does without
        /// (paper code: clip-vit-l-14).
        clip_network: String = "own", Kind::Choice(CLIPS), "", fixed;
        /// Whose score of human preference is paid: `own` is what belongs to the model, `none` does without (paper
        /// code: hpsv2.1).
        preference_network: String = "own", Kind::Choice(PREFERENCES), "", fixed;
        /// Whose features the distribution reward compares: `own` is what belongs to the model (paper code:
        /// inception-imagenet).
        feature_network: String = "own", Kind::Choice(FEATURES), "", fixed;
        /// Keep the networks that do not learn in half precision: half their memory, and scores that differ in the
        /// third digit. Sums are still taken in f32 (paper code: all in bf16).
        frozen_half: bool = false, Kind::Bool, "", fixed;
    }
    "Rollout" {
        /// Class prompts in each update, without repeats while there are classes left. All sixteen by default: rewards of
        /// two updates then compare, and the distribution reward sees every class (paper code: 12 of 1,000).
        prompts: u64 = 16, int(1, 64), "prompts", live;
        /// Samples per prompt, G: each is judged against the others of its prompt (TRL name; paper code: 12).
        num_generations: u64 = 8, int(2, 64), "samples", fixed;
        /// Classifier-free guidance of the samples to learn from: 1 is off, more follows the class more closely
        /// (paper code: 1.5). Log-probabilities are always taken unguided, so that guidance is learnt into the weights.
        guidance: f64 = 1.5, linear(0.0, 8.0), "", live;
        /// Divides the logits: below 1 samples become surer, above 1 more random (paper code: 1).
        temperature: f64 = 1.0, linear(0.05, 5.0), "", live;
        /// Draw only from the k likeliest tokens; 0 is off (paper code: 0).
        top_k: u64 = 0, int(0, 16_384), "tokens", live;
        /// Draw only from the likeliest tokens that together reach this probability; 1 is off (paper code: 1).
        top_p: f64 = 1.0, linear(0.01, 1.0), "", live;
        /// With n above -1, guide only the first n + 2 tokens (LlamaGen's rule); -1 guides all (LlamaGen: -1).
        cfg_interval: i64 = -1, int(-1, 4096), "tokens", live;
        /// Samples that are written, decoded and scored together; 0 takes all at once. Fewer need less memory and give
        /// the same pictures, but for rounding (ours).
        rollout_batch: u64 = 0, int(0, 4096), "samples", live;
        /// Samples of the untouched model that start the running mean of features and set the entropy target (ours).
        bootstrap_samples: u64 = 256, int(2, 50_000), "samples", fixed;
    }
    "Optimiser" {
        /// AdamW step size (TRL name; paper code: 1e-5 for a model a hundred times larger).
        learning_rate: f64 = 5e-5, log(1e-7, 1e-1), "", live;
        /// AdamW: how slowly the mean of gradients forgets (paper code: 0.9).
        adam_beta1: f64 = 0.9, linear(0.0, 0.999), "", fixed;
        /// AdamW: how slowly the mean of squared gradients forgets (paper code: 0.95).
        adam_beta2: f64 = 0.95, linear(0.0, 0.9999), "", fixed;
        /// AdamW: pulls weights towards zero (paper code: 0.01).
        weight_decay: f64 = 0.01, linear(0.0, 1.0), "", fixed;
        /// A gradient longer than this is shortened to it (TRL name; paper code: 1).
        max_grad_norm: f64 = 1.0, log(1e-3, 100.0), "", live;
        /// Gradient steps on each batch of samples, K (TRL name and default; paper code: 2). More steps also repeat the
        /// batch's noise, which a small model feels sooner than it feels the signal.
        num_iterations: u64 = 1, int(1, 16), "steps", live;
        /// Samples per backward pass; 0 takes all at once. Fewer need less memory and give the same gradient (ours).
        micro_batch: u64 = 0, int(0, 4096), "samples", live;
        /// Recompute activations in the backward pass: less memory, about a third more time, the same gradient (ours).
        checkpointing: bool = false, Kind::Bool, "", live;
    }
    "Loss" {
        /// How the losses of tokens are averaged, which matters at token level: `grpo` per sequence, `bnpo` over all
        /// tokens, `dr_grpo` over the longest length (TRL names).
        loss_type: String = "grpo", Kind::Choice(&["grpo", "bnpo", "dr_grpo"]), "", live;
        /// Compare new and old policy by one ratio per `sequence` (paper code), or one per `token` (TRL names).
        importance_sampling_level: String = "sequence", Kind::Choice(&["sequence", "token"]), "", live;
        /// How far below 1 the ratio of new to old probability still counts (TRL name; paper code: 0.2).
        epsilon: f64 = 0.2, linear(0.0, 1.0), "", live;
        /// How far above 1 the ratio still counts (TRL name; paper code: 0.2).
        epsilon_high: f64 = 0.2, linear(0.0, 2.0), "", live;
        /// Weight of the KL divergence that ties the model to its pretrained self (TRL name; paper code: 3).
        beta: f64 = 3.0, linear(0.0, 20.0), "", live;
        /// Divide each group's instance advantages by their standard deviation (TRL name; paper code: yes). Those of
        /// the distribution reward always are.
        scale_rewards: bool = true, Kind::Bool, "", live;
        /// Added to that standard deviation, so that equal rewards do not blow up (paper code: 1e-4).
        advantage_eps: f64 = 1e-4, log(1e-8, 1.0), "", live;
    }
    "Reward" {
        /// Weight of the CLIP score: how well the picture fits its prompt (paper code: 1; here 2, because our preference
        /// score spreads more widely than our CLIP score and would drown it).
        clip_weight: f64 = 2.0, linear(-10.0, 10.0), "", live;
        /// Weight of the preference score, our small stand-in for a model of human taste (paper code: 1).
        preference_weight: f64 = 1.0, linear(-10.0, 10.0), "", live;
        /// Weight of redness: how near the mean colour is to pure red; below 0 rewards cyan (ours, for learning).
        colour_weight: f64 = 0.0, linear(-10.0, 10.0), "", live;
        /// Weight of brightness; below 0 rewards darkness (ours, for learning).
        brightness_weight: f64 = 0.0, linear(-10.0, 10.0), "", live;
        /// Weight of left-right symmetry; below 0 rewards lopsidedness (ours, for learning).
        symmetry_weight: f64 = 0.0, linear(-10.0, 10.0), "", live;
        /// Weight of smoothness, as a file format would see it; below 0 rewards clutter (ours, for learning).
        compressibility_weight: f64 = 0.0, linear(-10.0, 10.0), "", live;
        /// Turns the distribution reward on, which pays each sample for what the batch would lose without it; 0 is off
        /// (paper code: 1). It is normalised by itself, so that its real weight is `lambda_fid`.
        loo_fid_weight: f64 = 1.0, linear(0.0, 10.0), "", live;
        /// Weight of the distribution part of the loss against the instance part (paper code: 2).
        lambda_fid: f64 = 1.0, linear(0.0, 20.0), "", live;
        /// Fréchet distance from variances alone (`diagonal`, paper code) or exactly, from covariances (`full`, ours).
        loo_fid_form: String = "diagonal", Kind::Choice(&["diagonal", "full"]), "", fixed;
        /// How much of the running mean of generated features each update keeps (paper code: 0.5; here more, because
        /// fewer samples an update leave more noise in each batch's mean).
        ema_beta: f64 = 0.9, linear(0.0, 0.999), "", live;
    }
    "Entropy" {
        /// Steer the entropy bonus by how far the entropy is from its target; off, it stays at `entropy_coef`
        /// (paper code: on).
        adaptive_entropy: bool = true, Kind::Bool, "", live;
        /// Base weight of the entropy bonus, which keeps samples varied (paper code: 2.2e-3).
        entropy_coef: f64 = 2.2e-3, linear(0.0, 0.1), "per nat", live;
        /// The steered weight never falls below this (paper code: 7e-5).
        entropy_min: f64 = 7e-5, linear(0.0, 0.1), "per nat", live;
        /// The steered weight never rises above this (paper code: 4e-3).
        entropy_max: f64 = 4e-3, linear(0.0, 0.5), "per nat", live;
        /// Wanted entropy as a share of the largest possible; 0 takes that of the pretrained model
        /// (paper code: 0.78, for its model).
        entropy_target: f64 = 0.0, linear(0.0, 1.0), "", live;
        /// Errors smaller than this are not corrected (paper code: 0.015).
        entropy_deadband: f64 = 0.015, linear(0.0, 0.5), "", live;
        /// How strongly an error changes the bonus: its weight is multiplied by exp(gain x error) (paper code: 3).
        entropy_gain: f64 = 3.0, linear(0.0, 50.0), "", live;
        /// Share of the run over which the bonus rises from nothing (paper code: 0.05).
        entropy_warmup: f64 = 0.05, linear(0.0, 1.0), "of the run", live;
        /// Share of the run after which the bonus fades to nothing (paper code: 0.85).
        entropy_decay_from: f64 = 0.85, linear(0.0, 1.0), "of the run", live;
    }
    "Evaluation" {
        /// Measure held-out distance, diversity and the rest before the first update and after every so many; 0 never (ours).
        eval_every: u64 = 25, int(0, 10_000), "updates", live;
        /// Pictures drawn for each evaluation: more is surer and slower, and only equal numbers compare (ours).
        eval_samples: u64 = 256, int(16, 50_000), "pictures", fixed;
        /// Guidance of the pictures evaluated: 1 is none, which shows what the weights alone have learnt (ours).
        eval_guidance: f64 = 1.0, linear(0.0, 8.0), "", fixed;
        /// Save a grid of pictures, of the same seeds each time, before the first update and after every so many;
        /// 0 never (ours).
        sample_every: u64 = 10, int(0, 10_000), "updates", live;
        /// Save a checkpoint after every so many updates; 0 only at the end (ours).
        checkpoint_every: u64 = 10, int(0, 10_000), "updates", live;
    }
    "Quirks" {
        /// Take the better instead of the worse of the clipped and unclipped gain, as the authors' code does (Q1): a
        /// ratio that runs away in the right direction is then never stopped.
        quirk_optimistic_clip: bool = false, Kind::Bool, "", live;
        /// Score a random tenth of the samples without their class in every pass of an update, as the authors' code
        /// does by leaving label dropout on (Q2): those samples' ratios are wrong, and the unguided branch trains too.
        quirk_label_dropout: bool = false, Kind::Bool, "", live;
        /// Start the running mean of features at half its mass, as the authors' code does (Q4): the first updates see
        /// moments that are too small.
        quirk_ema_half_mass: bool = false, Kind::Bool, "", fixed;
    }
}

/// A type that a parameter may have.
trait Field: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
}

impl Field for f64 {
    fn to_value(&self) -> Value {
        Value::Float(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Float(x) = value { Some(x) } else { None }
    }
}

impl Field for i64 {
    fn to_value(&self) -> Value {
        Value::Int(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Int(x) = value { Some(x) } else { None }
    }
}

impl Field for u64 {
    // Ranges end at i64::MAX at the latest, as TOML's whole numbers do; beyond it `validate` sees a value out of range.
    fn to_value(&self) -> Value {
        Value::Int(i64::try_from(*self).unwrap_or(-1))
    }
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl Field for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Bool(x) = value { Some(x) } else { None }
    }
}

impl Field for String {
    fn to_value(&self) -> Value {
        Value::Text(self.clone().into())
    }
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(x) = value { Some(x.into_owned()) } else { None }
    }
}

impl RunConfig {
    /// Sets one parameter from text; on an error nothing changes.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown name, a wrong type, a value out of range or in contradiction to another.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        self.apply([(name, text)])
    }

    /// Sets several parameters from text, all or none: only the result must be free of contradictions.
    ///
    /// # Errors
    /// As [`RunConfig::set`].
    pub fn apply<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<(), ConfigError> {
        let mut changed = self.clone();
        for (name, text) in pairs {
            let param = Param::find(name)?;
            changed.assign(param.name, param.parse(text)?);
        }
        changed.validate()?;
        *self = changed;
        Ok(())
    }

    /// Checks every value against its range, and values against each other.
    ///
    /// # Errors
    /// [`ConfigError::Range`], [`ConfigError::Absent`] or [`ConfigError::Order`] for the first that does not hold.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for param in PARAMS {
            if let Some(value) = self.get(param.name) {
                param.check(value)?;
            }
        }
        for (network, weight) in [("clip_network", "clip_weight"), ("preference_network", "preference_weight")] {
            if self.get(network) == Some(Value::Text(NONE.into())) && self.get(weight) != Some(Value::Float(0.0)) {
                return Err(ConfigError::Absent { network, weight });
            }
        }
        for (low, high) in [("entropy_min", "entropy_max"), ("entropy_warmup", "entropy_decay_from")] {
            if let (Some(Value::Float(low_value)), Some(Value::Float(high_value))) = (self.get(low), self.get(high))
                && low_value > high_value
            {
                return Err(ConfigError::Order { low, low_value, high, high_value });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_struct_have_the_same_names_in_the_same_order() {
        let json = serde_json::to_value(RunConfig::default()).unwrap();
        let mut fields: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut names: Vec<&str> = PARAMS.iter().map(|p| p.name).collect();
        fields.sort_unstable();
        names.sort_unstable();
        assert_eq!(fields, names);
        names.dedup();
        assert_eq!(names.len(), PARAMS.len());
    }

    #[test]
    fn every_entry_is_explained_and_its_default_is_permitted() {
        let config = RunConfig::default();
        for param in PARAMS {
            assert!(param.doc.len() > 20 && !param.group.is_empty(), "{}", param.name);
            assert_eq!(param.doc, param.doc.trim(), "{}", param.name);
            assert_eq!(param.check(param.default.clone()).unwrap(), param.default, "{}", param.name);
            assert_eq!(config.get(param.name), Some(param.default.clone()), "{}", param.name);
        }
        config.validate().unwrap();
    }

    #[test]
    fn a_contradiction_is_refused_and_changes_nothing() {
        let mut config = RunConfig::default();
        assert!(matches!(config.set("entropy_min", "0.05"), Err(ConfigError::Order { .. })));
        assert_eq!(config, RunConfig::default());
        config.apply([("entropy_min", "0.05"), ("entropy_max", "0.06")]).unwrap();
        assert_eq!((config.entropy_min, config.entropy_max), (0.05, 0.06));
    }

    #[test]
    fn a_whole_number_too_large_to_store_is_out_of_range() {
        let config = RunConfig { seed: u64::MAX, ..Default::default() };
        assert!(matches!(config.validate(), Err(ConfigError::Range { .. })));
    }
}
