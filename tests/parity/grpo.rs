//! GRPO in both forms against the golden cases: advantages, every part of the loss, and gradients on the logits.

use anyhow::{Context, Result, ensure};
use artune::rl::advantage::group_advantages;
use artune::rl::entropy::{AdaptiveEntropy, EntropyController};
use artune::rl::grpo::{Level, LossConfig, LossInput, LossOutput, LossType, Normaliser, STATS, loss, token_log_probs};
use burn::prelude::*;
use serde_json::Value;

use super::case::{Array, Case, close, close_f32};

/// The golden files' eps beside the group's standard deviation.
const ADVANTAGE_EPS: f64 = 1e-4;
/// Absolute tolerance of gradients.
const GRAD: f64 = 1e-6;
/// Relative tolerance of the loss and its parts; absolute for single terms.
const LOSS: f64 = 1e-5;
/// Rounding of a mean of f32 terms of size about 1, which the relative tolerance of a small mean cannot cover.
const ROUNDING: f64 = 2e-7;

/// Samples of one prompt, which lie side by side.
fn group(case: &Case) -> Result<usize> {
    let (group, ids) = (case.usize("num_generations")?, case.array("group_ids")?.i32());
    anyhow::ensure!(ids.iter().enumerate().all(|(i, &id)| id as usize == i / group), "groups {ids:?} of {group}");
    Ok(group)
}

/// Sequence form: instance and LOO-FID advantages, k3 on the token-mean log-ratio, entropy bonus and its controller.
pub fn check_sequence(case: &Case) -> Result<()> {
    let group = group(case)?;
    for setting in settings(case)? {
        let key = text(setting, "key")?;
        let (clip, hps, fid) = (case.array("r_clip")?.data, case.array("r_hps")?.data, case.array("r_fid")?.data);
        let (w_clip, w_hps, w_fid) = (number(setting, "w_clip")?, number(setting, "w_hps")?, number(setting, "w_fid")?);
        let instance: Vec<f64> = clip.iter().zip(&hps).map(|(c, h)| w_clip * c + w_hps * h).collect();
        let fid: Vec<f64> = fid.iter().map(|r| w_fid * r).collect();
        let instance = group_advantages(&instance, group, true, ADVANTAGE_EPS)?.values;
        let fid = group_advantages(&fid, group, true, ADVANTAGE_EPS)?.values;
        close(&format!("{key}.A_inst"), &instance, &case.array(&format!("{key}.A_inst"))?.data, 1e-5)?;
        close(&format!("{key}.A_fid"), &fid, &case.array(&format!("{key}.A_fid"))?.data, 1e-5)?;

        let eps = number(setting, "eps")?;
        let config = LossConfig {
            level: Level::Sequence,
            epsilon_low: eps,
            epsilon_high: eps,
            beta: number(setting, "beta")?,
            lambda_fid: number(setting, "lambda_fid")?,
            optimistic_clip: setting["optimistic_clip"].as_bool().context("optimistic_clip")?,
            ..LossConfig::default()
        };
        let alpha = number(setting, "alpha")?;
        let policy = Policy::open(case, 1.0)?;
        // The case stores token means; the mean over equal tokens gives them back.
        let per_token = |a: Array| tensor1(case, &a.data).unsqueeze_dim::<2>(1).expand(policy.logp.dims());
        let [rows, length] = policy.logp.dims();
        let out = loss(
            &config,
            LossInput {
                logp: policy.logp.clone(),
                entropy: policy.entropy.clone(),
                old_logp: per_token(case.array("ell_old")?),
                ref_logp: Some(per_token(case.array("ell_ref")?)),
                mask: None,
                instance_advantage: tensor1(case, &instance),
                distribution_advantage: Some(tensor1(case, &fid)),
                alpha,
                normaliser: Normaliser::full(rows, length),
            },
        );
        let stats = Stats::of(&out)?;
        matches(case, &key, "ell", policy.logp.clone().mean_dim(1), LOSS)?;
        matches(case, &key, "rho", out.terms.ratio, LOSS)?;
        stats.check(case, &key, "loss", "loss", 1.0)?;
        stats.check(case, &key, "L_inst", "policy_loss/instance", 1.0)?;
        stats.check(case, &key, "L_fid", "policy_loss/distribution", 1.0)?;
        stats.check(case, &key, "L_kl", "kl", config.beta)?;
        stats.check(case, &key, "L_ent", "entropy", -alpha)?;
        stats.check(case, &key, "mean_entropy", "entropy", 1.0)?;
        policy.check_gradient(case, &key, &out.total)?;
    }
    let controller = EntropyController::Adaptive(AdaptiveEntropy::default());
    let Some(table) = case.config.get("alpha_table_progress_Hnorm_alpha").and_then(Value::as_array) else {
        return Ok(());
    };
    let column = |i: usize| table.iter().map(|row| row[i].as_f64().context("a number")).collect::<Result<Vec<f64>>>();
    let got: Vec<f64> = column(0)?.into_iter().zip(column(1)?).map(|(p, h)| controller.coefficient(p, h)).collect();
    close("entropy coefficient", &got, &column(2)?, 1e-12)
}

/// Token form: TRL / AR-GRPO, with its three ways of averaging, the delta cap, a mask, and temperature.
pub fn check_token(case: &Case) -> Result<()> {
    let group = group(case)?;
    let mask = case.array("mask")?;
    let [rows, _] = mask.dims::<2>()?;
    for setting in settings(case)? {
        let key = text(setting, "key")?;
        let scale = setting["scale_rewards"].as_bool().context("scale_rewards")?;
        let advantages = group_advantages(&case.array("rewards")?.data, group, scale, ADVANTAGE_EPS)?.values;
        close(&format!("{key}.advantages"), &advantages, &case.array(&format!("{key}.advantages"))?.data, 1e-5)?;

        let config = LossConfig {
            level: Level::Token,
            loss_type: serde_json::from_value(setting["loss_type"].clone()).context("loss_type")?,
            epsilon_low: number(setting, "eps_low")?,
            epsilon_high: number(setting, "eps_high")?,
            beta: number(setting, "beta")?,
            delta: setting.get("delta").and_then(Value::as_f64),
            ..LossConfig::default()
        };
        let temperature = setting.get("temperature").and_then(Value::as_f64).unwrap_or(1.0);
        let policy = Policy::open(case, temperature)?;
        let old_logp = match setting["old_is_current"].as_bool() {
            Some(true) => policy.logp.clone().detach(),
            _ => tensor2(case, &case.array("old_logps")?)?,
        };
        let out = loss(
            &config,
            LossInput {
                logp: policy.logp.clone(),
                entropy: policy.entropy.clone(),
                old_logp,
                ref_logp: Some(tensor2(case, &case.array("ref_logps")?)?),
                mask: Some(tensor2(case, &mask)?),
                instance_advantage: tensor1(case, &advantages),
                distribution_advantage: None,
                alpha: number(setting, "entropy_coef")?,
                normaliser: Normaliser {
                    rows: rows as f64,
                    tokens: mask.data.iter().sum(),
                    max_length: number(setting, "max_completion_length")?,
                },
            },
        );
        let stats = Stats::of(&out)?;
        matches(case, &key, "logps", policy.logp.clone(), LOSS)?;
        matches(case, &key, "entropy", policy.entropy.clone(), LOSS)?;
        // The mask zeroes hidden terms in ours; the golden arrays hold values there.
        let shown = |name: &str| -> Result<Array> {
            let mut a = case.array(&format!("{key}.{name}"))?;
            a.data.iter_mut().zip(&mask.data).for_each(|(x, m)| *x *= m);
            Ok(a)
        };
        close_f32(&format!("{key}.kl"), &values(out.terms.kl)?, &shown("kl")?, LOSS)?;
        let masked_loss = out.terms.loss * tensor2(case, &mask)?.inner();
        close_f32(&format!("{key}.per_token_loss"), &values(masked_loss)?, &shown("per_token_loss")?, LOSS)?;
        stats.check(case, &key, "loss", "loss", 1.0)?;
        stats.check(case, &key, "mean_kl", "kl", 1.0)?;
        stats.check(case, &key, "mean_entropy", "entropy", 1.0)?;
        stats.check(case, &key, "clip_low", "clip_ratio/low", 1.0)?;
        stats.check(case, &key, "clip_high", "clip_ratio/high", 1.0)?;
        policy.check_gradient(case, &key, &out.total)?;
    }
    Ok(())
}

/// Compares a tensor with the golden `{key}.{name}`.
fn matches<const D: usize>(case: &Case, key: &str, name: &str, got: Tensor<D>, tolerance: f64) -> Result<()> {
    let name = format!("{key}.{name}");
    close_f32(&name, &values(got)?, &case.array(&name)?, tolerance)
}

/// The logits of a case and what the policy says with them.
struct Policy {
    logits: Tensor<3>,
    logp: Tensor<2>,
    entropy: Tensor<2>,
}

impl Policy {
    fn open(case: &Case, temperature: f64) -> Result<Self> {
        let (logits, actions) = (case.array("logits")?, case.array("actions")?);
        let (shape, device) = (logits.dims::<3>()?, case.device.clone().autodiff());
        let logits = Tensor::<3>::from_data(TensorData::new(logits.f32(), shape), &device).require_grad();
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(actions.i32(), actions.dims::<2>()?), &device);
        let (logp, entropy) = token_log_probs(logits.clone() / temperature, tokens);
        Ok(Self { logits, logp, entropy })
    }

    fn check_gradient(&self, case: &Case, key: &str, total: &Tensor<1>) -> Result<()> {
        let gradient = self.logits.grad(&total.backward()).context("the logits have no gradient")?;
        matches(case, key, "grad_logits", gradient, GRAD)
    }
}

/// The packed figures of one loss.
struct Stats(Vec<f32>);

impl Stats {
    fn of(out: &LossOutput) -> Result<Self> {
        let total = values(out.total.clone())?;
        let stats = values(out.stats.clone())?;
        ensure!(total[0] == stats[0], "the loss figure {} is not the loss {}", stats[0], total[0]);
        Ok(Self(stats))
    }

    /// Compares `factor` times the figure `stat` with the golden scalar `{key}.{name}`, if the case has it.
    fn check(&self, case: &Case, key: &str, name: &str, stat: &str, factor: f64) -> Result<()> {
        let name = format!("{key}.{name}");
        if !case.has(&name) {
            return Ok(());
        }
        let want = case.array(&name)?.data;
        let at = STATS.iter().position(|s| *s == stat).context("a name of STATS")?;
        close(&name, &[f64::from(self.0[at]) * factor], &want, LOSS * want[0].abs() + ROUNDING)
    }
}

fn settings(case: &Case) -> Result<&Vec<Value>> {
    case.value("cases")?.as_array().context("cases is no list")
}

fn number(setting: &Value, name: &str) -> Result<f64> {
    setting[name].as_f64().with_context(|| format!("{name} is no number in {setting}"))
}

fn text(setting: &Value, name: &str) -> Result<String> {
    Ok(setting[name].as_str().with_context(|| format!("{name} is no text in {setting}"))?.to_owned())
}

fn tensor1(case: &Case, data: &[f64]) -> Tensor<1> {
    let data: Vec<f32> = data.iter().map(|&x| x as f32).collect();
    Tensor::from_data(data.as_slice(), &case.device.clone().autodiff())
}

fn tensor2(case: &Case, a: &Array) -> Result<Tensor<2>> {
    Ok(Tensor::from_data(TensorData::new(a.f32(), a.dims::<2>()?), &case.device.clone().autodiff()))
}

fn values<const D: usize>(t: Tensor<D>) -> Result<Vec<f32>> {
    t.into_data().try_to_vec::<f32>().map_err(|e| anyhow::anyhow!("{e:?}"))
}

/// Names of [`LossType`] in the golden files are those of TRL.
#[test]
fn loss_types_have_their_trl_names() {
    for (name, want) in [("grpo", LossType::Grpo), ("bnpo", LossType::Bnpo), ("dr_grpo", LossType::DrGrpo)] {
        assert_eq!(serde_json::from_value::<LossType>(name.into()).unwrap(), want);
    }
}
