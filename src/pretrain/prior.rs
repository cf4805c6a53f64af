//! Training the prior: maximum likelihood of the tokens of real pictures, given their class.
//!
//! As LlamaGen does: pictures are tokenised ahead in several augmented views, and a tenth of the labels is replaced
//! by the null class, which guidance needs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::prelude::*;

use super::{Loss, Pictures as Shown, Task};
use crate::data::grid::rgb_pictures;
use crate::data::{AugmentConfig, Pictures, Split};
use crate::gpu::read::read;
use crate::model::family::{CLASSES, OwnConfig, Role};
use crate::model::policy::{Policy, PolicyConfig};
use crate::model::vq::VqModel;
use crate::platform::rng::Key;
use crate::rl::grpo::token_log_probs;
use crate::rl::rollout::Rollout;
use crate::rl::sampling::SamplingConfig;
use crate::rl::trainer::teacher_forced;

/// Share of labels replaced by the null class.
const CLASS_DROPOUT: f32 = 0.1;

/// Token sequences to imitate.
pub struct PriorTask {
    config: OwnConfig,
    tokenizer: VqModel,
    /// Tokens by class, one entry per view of a training picture.
    train: Vec<Vec<Vec<i32>>>,
    held_out: Vec<(usize, Vec<i32>)>,
    class_names: Vec<String>,
    batch: usize,
    seed: u64,
    device: Device,
}

impl PriorTask {
    /// Tokenises `views` augmented views of every training picture, and each held-out picture plainly.
    ///
    /// # Errors
    /// Where the device fails.
    pub async fn new(
        pictures: &Pictures,
        split: &Split,
        config: OwnConfig,
        tokenizer: VqModel,
        (batch, views, seed): (usize, usize, u64),
        device: &Device,
    ) -> Result<Self> {
        let mut train = vec![vec![]; pictures.class_names.len()];
        for view in 0..views {
            for (chunk, indices) in split.train.chunks(64).enumerate() {
                let mut random = Key::new(seed).fold(u64::MAX).fold(view as u64).fold(chunk as u64).stream();
                let batch = pictures.augmented_batch(indices.to_vec(), &AugmentConfig::gentle(), &mut random);
                for (class, tokens) in
                    batch.classes.iter().zip(tokens(&tokenizer, &config.gpt, batch.images(device)).await?)
                {
                    train[*class].push(tokens);
                }
            }
        }
        let mut held_out = vec![];
        for indices in split.held_out.chunks(64) {
            let batch = pictures.plain_batch(indices);
            let tokens = tokens(&tokenizer, &config.gpt, batch.images(device)).await?;
            held_out.extend(batch.classes.into_iter().zip(tokens));
        }
        let class_names = pictures.class_names.clone();
        Ok(Self { config, tokenizer, train, held_out, class_names, batch, seed, device: device.clone() })
    }

    fn tensors(&self, rows: &[(usize, &[i32])]) -> (Tensor<1, Int>, Tensor<2, Int>) {
        let n = rows.len();
        let classes: Vec<i32> = rows.iter().map(|(c, _)| *c as i32).collect();
        let tokens: Vec<i32> = rows.iter().flat_map(|(_, t)| t.iter().copied()).collect();
        let length = tokens.len() / n.max(1);
        (
            Tensor::from_data(TensorData::new(classes, [n]), &self.device),
            Tensor::from_data(TensorData::new(tokens, [n, length]), &self.device),
        )
    }
}

/// Tokens of pictures in [0, 1], in the order in which `prior` writes them.
async fn tokens(tokenizer: &VqModel, prior: &PolicyConfig, x: Tensor<4>) -> Result<Vec<Vec<i32>>> {
    let indices = prior.in_turn(tokenizer.encode(x * 2.0 - 1.0).indices);
    let length = indices.dims()[1];
    let data = indices.into_data_async().await.map_err(|e| anyhow::anyhow!("{e}"))?;
    Ok(data.iter::<i32>().collect::<Vec<_>>().chunks(length).map(<[i32]>::to_vec).collect())
}

impl Task for PriorTask {
    type Model = Policy;

    fn role(&self) -> Role {
        Role::Prior
    }

    async fn loss(&mut self, model: &Policy, step: u64) -> Result<Loss> {
        let mut random = Key::new(self.seed).fold(step).stream();
        let (start, mut rows) = (random.below(self.train.len()), vec![]);
        for i in 0..self.batch {
            // Classes in turn from a random start: an even balance without counting.
            let class = (i + start) % self.train.len();
            let of_class = &self.train[class];
            let tokens = of_class.get(random.below(of_class.len().max(1))).context("a class has no pictures")?;
            let dropped = random.uniform() < CLASS_DROPOUT;
            let label = model.null_of(class).filter(|_| dropped).unwrap_or(class);
            rows.push((label, tokens.as_slice()));
        }
        let (classes, tokens) = self.tensors(&rows);
        let (classes, tokens) = (classes.autodiff(), tokens.autodiff());
        let logits = teacher_forced(model, classes, tokens.clone());
        let total = -token_log_probs(logits, tokens).0.mean();
        Ok(Loss { total, parts: vec![] })
    }

    async fn evaluate(&mut self, model: &Policy) -> Result<BTreeMap<String, f64>> {
        let (mut nll, mut entropy, mut n) = (0.0, 0.0, 0.0);
        for chunk in self.held_out.chunks(64) {
            let rows: Vec<(usize, &[i32])> = chunk.iter().map(|(c, t)| (*c, t.as_slice())).collect();
            let (classes, tokens) = self.tensors(&rows);
            let (logp, h) = token_log_probs(teacher_forced(model, classes, tokens.clone()), tokens);
            let both = read(Tensor::cat(vec![logp.sum(), h.sum()], 0)).await?;
            nll -= both[0] as f64;
            entropy += both[1] as f64;
            n += (rows.len() * rows[0].1.len()) as f64;
        }
        Ok([("held_out/nll".into(), nll / n), ("held_out/entropy".into(), entropy / n)].into())
    }

    fn notes(&self) -> Vec<(&'static str, String)> {
        vec![(CLASSES, serde_json::json!(self.class_names).to_string())]
    }

    async fn show(&mut self, model: &Policy) -> Result<Option<Shown>> {
        // One row a class, eight samples at guidance 2; rows of sixteen pictures show two classes.
        let classes: Vec<usize> = (0..self.config.gpt.num_classes()).flat_map(|c| std::iter::repeat_n(c, 8)).collect();
        let keys = (0..classes.len()).map(|i| Key::new(self.seed).fold(u64::MAX - 1).fold(i as u64)).collect();
        let sampling = SamplingConfig { guidance: 2.0, ..SamplingConfig::default() };
        let tokens = Rollout::new(model, &classes, keys, sampling, &self.device).finish(model).await;
        let y = self.tokenizer.decode_code(self.config.gpt.in_rows(tokens), [self.config.grid, self.config.grid]);
        let pictures = rgb_pictures(&read((y * 0.5 + 0.5).clamp(0.0, 1.0)).await?, self.config.side);
        Ok(Some((self.config.side, pictures)))
    }
}
