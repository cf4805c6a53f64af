//! LlamaGen's text-conditional transformer: captions and their projection, masks, logits, cached steps, greedy tokens,
//! loss and gradients.

use anyhow::{Context, Result, ensure};
use artune::model::transformer::{GptConfig, Transformer};
use artune::rl::sampling::SamplingConfig;
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use crate::case::{Case, close, close_f32, host, host_ids, same_ids};
use crate::gradients::by_key;
use crate::llamagen_gpt::{check_rope, config, greedy, guidance, load};

const LOGITS: f64 = 2e-4;
const LOSS: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;

/// Everything that the case gives.
pub fn check(case: &Case) -> Result<()> {
    let config = config(case)?;
    check_rope(case, &config, &case.device)?;
    let model = Subject::open(case, &config, &case.device, true)?;
    check_captions(case, &config, &model)?;
    check_forward(case, &config, &model)?;
    check_steps(case, &config, &model)?;
    check_training(case, &config)
}

/// The network with the case's captions: their ids are `0..n`, those of their unconditional twins `n..2n`.
struct Subject {
    model: Transformer,
    n: usize,
    device: Device,
}

impl Subject {
    fn open(case: &Case, config: &GptConfig, device: &Device, masked: bool) -> Result<Self> {
        let captions = case.tensor_on::<3>("caption", device)?;
        let mask = case.tensor_on::<2>("emb_masks", device)?;
        let mask = if masked { mask } else { mask.ones_like() };
        let n = captions.dims()[0];
        Ok(Self { model: load(case, config, device)?.with_captions(captions, mask)?, n, device: device.clone() })
    }

    fn ids(&self) -> Tensor<1, Int> {
        Tensor::arange(0..self.n as i64, &self.device)
    }

    /// Ids with some of them dropped, as the case wants it.
    fn dropped(&self, case: &Case) -> Result<Tensor<1, Int>> {
        let drop = case.array("force_drop_ids")?.i32();
        let twin = |class: usize| self.model.null_of(class).context("no unconditional twin");
        let ids = (0..self.n).map(|i| Ok(if drop[i] == 1 { twin(i)? } else { i } as i32));
        let ids = ids.collect::<Result<Vec<i32>>>()?;
        Ok(Tensor::from_data(TensorData::new(ids, [self.n]), &self.device))
    }

    /// Logits of every position, those of the caption too; `tokens` `[n, seq]`, where there are any.
    fn all_logits(&self, tokens: Option<Tensor<2, Int>>) -> Tensor<3> {
        let model = &self.model;
        let x = match tokens {
            Some(tokens) => model.embed(self.ids(), tokens),
            None => model.cls_embedding.forward(self.ids()),
        };
        let mask = model.mask(self.ids(), x.dims()[1]);
        model.logits(model.layers.iter().fold(x, |x, layer| layer.forward(x, model.rope(), mask.clone())))
    }
}

fn check_captions(case: &Case, config: &GptConfig, subject: &Subject) -> Result<()> {
    let model = &subject.model;
    case.compare("cap_proj_after_drop", model.cls_embedding.forward(subject.dropped(case)?), LOGITS)?;
    let positions = config.cls_token_num + config.block_size;
    let seen = model.mask(subject.ids(), positions).greater_equal_elem(-0.5).int();
    same_ids("attn_mask", &host_ids(seen), &case.array("attn_mask")?)?;
    // The unconditional twins are padded like their captions.
    let twins = model.mask(subject.ids() + subject.n as i32, positions).greater_equal_elem(-0.5).int();
    same_ids("attn_mask of the twins", &host_ids(twins), &case.array("attn_mask")?)
}

fn check_forward(case: &Case, config: &GptConfig, subject: &Subject) -> Result<()> {
    let shown = case.ids::<2>("tokens")?.narrow(1, 0, config.block_size - 1);
    case.compare("prefill_logits", subject.all_logits(None), LOGITS)?;
    case.compare("tf_logits", subject.all_logits(Some(shown.clone())), LOGITS)?;
    let unmasked = Subject::open(case, config, &case.device, false)?;
    case.compare("tf_logits_nomask", unmasked.all_logits(Some(shown)), LOGITS)
}

fn check_steps(case: &Case, config: &GptConfig, subject: &Subject) -> Result<()> {
    let model = &subject.model;
    if case.has("step_logits") {
        let tokens = case.ids::<2>("tokens")?;
        let mut cache = model.cache(subject.n, &case.device);
        let mut steps = vec![model.prefill(subject.ids(), &mut cache)];
        for pos in 0..config.block_size - 1 {
            steps.push(model.step(tokens.clone().narrow(1, pos, 1), pos, &mut cache));
        }
        case.compare("step_logits", Tensor::stack::<3>(steps, 1), LOGITS)?;
    }
    for name in case.names()? {
        let Some(run) = name.strip_suffix(".ids").filter(|run| run.starts_with("greedy")) else { continue };
        let subject = Subject::open(case, config, &case.device, !run.ends_with("_nomask"))?;
        let sampling = SamplingConfig { guidance: guidance(run)?, ..SamplingConfig::default() };
        let (tokens, logits) = greedy(&subject.model, subject.ids(), &sampling)?;
        same_ids(&name, &host_ids(tokens), &case.array(&name)?)?;
        case.compare(&format!("{run}.logits"), logits, LOGITS)?;
    }
    Ok(())
}

/// The loss weighs whole captions: those of `valid` 0 do not count.
fn check_training(case: &Case, config: &GptConfig) -> Result<()> {
    let device = case.device.clone().autodiff();
    let subject = Subject::open(case, config, &device, true)?;
    let tokens = case.ids_on::<2>("tokens", &device)?;
    let shown = tokens.clone().narrow(1, 0, config.block_size - 1);
    let logits = subject.model.forward(subject.ids(), shown); // none is dropped here
    case.compare("train_logits", logits.clone(), LOGITS)?;
    let logp = log_softmax(logits, 2).gather(2, tokens.unsqueeze_dim(2)).squeeze_dim::<2>(2);
    let weighted = |valid: Tensor<1>| {
        let valid = valid.unsqueeze_dim::<2>(1).expand(logp.dims());
        (logp.clone() * valid.clone()).sum().neg() / valid.sum().clamp_min(1.0)
    };
    let valid: Vec<f32> = case.array("valid")?.f32();
    let valid = Tensor::<1>::from_data(valid.as_slice(), &device);
    case.compare("train_loss_all_invalid", weighted(valid.zeros_like()), 0.0)?;
    let loss = weighted(valid);
    close_f32("train_loss", &host(loss.clone())?, &case.array("train_loss")?, LOSS)?;

    let grads = GradientsParams::from_grads(loss.backward(), &subject.model);
    let named = by_key(&subject.model, &grads);
    ensure!(!named.contains_key("cls_embedding.uncond_embedding"), "the unconditional embedding is not trained");
    let norm = named.values().flatten().map(|g| g * g).sum::<f64>().sqrt();
    close("train_grad_norm", &[norm], &case.array("train_grad_norm")?.data, GRADIENT)?;
    for name in case.names()? {
        let Some(key) = name.strip_prefix("grad.") else { continue };
        let got = named.get(key).with_context(|| format!("no gradient for {key}"))?;
        close(&name, got, &case.array(&name)?.data, GRADIENT)?;
    }
    Ok(())
}
