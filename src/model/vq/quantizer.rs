//! The codebook: nearest code, its losses, and the straight-through gradient (LlamaGen `VectorQuantizer`).

use burn::module::{Initializer, Module};
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::VqConfig;
use crate::platform::rng::Stream;

/// Most entries of the score table `[rows, codes]` held at a time (16 MB): rows are looked up in blocks of this size.
const SCORES: usize = 1 << 22;

/// Losses that train the codebook and the encoder, scalars `[1]`.
#[derive(Clone, Debug)]
pub struct VqLosses {
    /// Mean of (code - sg(z))²: pulls codes to encoder outputs. VQGAN has beta here.
    pub codebook: Tensor<1>,
    /// beta · mean of (sg(code) - z)²: keeps encoder outputs near their codes. VQGAN has no beta here.
    pub commitment: Tensor<1>,
    /// ratio · (entropy per sample - entropy of the mean): spreads use over codes; 0 where the ratio is 0.
    pub entropy: Tensor<1>,
}

impl VqLosses {
    /// Sum of the three, as the peer's `VQLoss` adds them.
    pub fn total(self) -> Tensor<1> {
        self.codebook + self.commitment + self.entropy
    }
}

/// Result of [`VectorQuantizer::forward`].
#[derive(Clone, Debug)]
pub struct Quantized {
    /// Nearest codes in raster order, `[batch, h * w]`.
    pub indices: Tensor<2, Int>,
    /// The codes, `[batch, code_dim, h, w]`, computed as z + sg(code - z) so that gradients reach z unchanged.
    pub quantized: Tensor<4>,
    /// Training losses.
    pub losses: VqLosses,
}

/// LlamaGen's `VectorQuantizer`.
#[derive(Module, Debug)]
pub struct VectorQuantizer {
    /// The stored codes `[codes, code_dim]`; with `l2_norm` they are normalised at every use, not in storage.
    pub embedding: Embedding,
    #[module(skip)]
    l2_norm: bool,
    #[module(skip)]
    beta: f64,
    #[module(skip)]
    legacy_beta: bool,
    #[module(skip)]
    entropy_ratio: f64,
}

impl VectorQuantizer {
    /// A codebook with codes uniform in a small cube, normalised if `codebook_l2_norm`.
    pub fn new(config: &VqConfig, device: &Device) -> Self {
        let bound = 1.0 / config.codebook_size as f64;
        let mut embedding = EmbeddingConfig::new(config.codebook_size, config.codebook_embed_dim)
            .with_initializer(Initializer::Uniform { min: -bound, max: bound })
            .init(device);
        if config.codebook_l2_norm {
            embedding.weight = embedding.weight.map(|w| {
                let trained = w.is_require_grad();
                normalize(w.detach()).detach().set_require_grad(trained)
            });
        }
        Self {
            embedding,
            l2_norm: config.codebook_l2_norm,
            beta: config.commit_loss_beta,
            legacy_beta: config.legacy_beta,
            entropy_ratio: config.entropy_loss_ratio,
        }
    }

    /// The codes as they are compared and decoded, `[codes, code_dim]`.
    pub fn codes(&self) -> Tensor<2> {
        let codes = self.embedding.weight.val();
        if self.l2_norm { normalize(codes) } else { codes }
    }

    /// Encoder outputs `[batch, code_dim, h, w]` to their nearest codes.
    pub fn forward(&self, z: Tensor<4>) -> Quantized {
        let [b, d, h, w] = z.dims();
        let rows = z.permute([0, 2, 3, 1]).reshape([b * h * w, d]);
        let rows = if self.l2_norm { normalize(rows) } else { rows };
        let codes = self.codes();

        let indices = nearest(rows.clone().detach(), codes.clone().detach());
        let chosen = codes.clone().select(0, indices.clone());
        let pull = (chosen.clone() - rows.clone().detach()).square().mean();
        let stay = (chosen.clone().detach() - rows.clone()).square().mean();
        let (codebook, commitment) = if self.legacy_beta { (pull * self.beta, stay) } else { (pull, stay * self.beta) };
        let losses = VqLosses { codebook, commitment, entropy: self.entropy_loss(&rows, codes) };
        let quantized = rows.clone() + (chosen - rows).detach();
        Quantized {
            indices: indices.reshape([b, h * w]),
            quantized: quantized.reshape([b, h, w, d]).permute([0, 3, 1, 2]),
            losses,
        }
    }

    /// Codes of tokens `[batch, h * w]` as `[batch, code_dim, h, w]` (the peer's `get_codebook_entry`).
    pub fn lookup(&self, indices: Tensor<2, Int>, [h, w]: [usize; 2]) -> Tensor<4> {
        let [b, n] = indices.dims();
        let codes = self.codes();
        let d = codes.dims()[1];
        codes.select(0, indices.reshape([b * n])).reshape([b, h, w, d]).permute([0, 3, 1, 2])
    }

    /// See [`super::VqModel::revive`].
    pub fn revive(mut self, usage: &[u32], z: Tensor<4>, rng: &mut Stream) -> (Self, usize) {
        let [b, d, h, w] = z.dims();
        let dead: Vec<bool> = usage.iter().map(|&count| count == 0).collect();
        let revived = dead.iter().filter(|&&dead| dead).count();
        if revived == 0 {
            return (self, 0);
        }
        let picks: Vec<i32> = dead.iter().map(|&dead| if dead { rng.below(b * h * w) as i32 } else { 0 }).collect();
        let keep: Vec<f32> = dead.iter().map(|&dead| f32::from(!dead)).collect();
        let codes = dead.len();
        let rows = z.detach().permute([0, 2, 3, 1]).reshape([b * h * w, d]);
        let rows = if self.l2_norm { normalize(rows) } else { rows };
        self.embedding.weight = self.embedding.weight.map(|weight| {
            let (device, trained) = (weight.device(), weight.is_require_grad());
            let picks = Tensor::<1, Int>::from_data(TensorData::new(picks, [codes]), &device);
            let keep = Tensor::<2>::from_data(TensorData::new(keep, [codes, 1]), &device);
            let fresh = rows.select(0, picks) * (-keep.clone() + 1.0);
            (weight.detach() * keep + fresh).detach().set_require_grad(trained)
        });
        (self, revived)
    }

    /// `compute_entropy_loss` of the peer, on affinities -distance² at temperature 0.01.
    fn entropy_loss(&self, rows: &Tensor<2>, codes: Tensor<2>) -> Tensor<1> {
        if self.entropy_ratio == 0.0 {
            return Tensor::zeros([1], &rows.device());
        }
        let squares = |x: Tensor<2>| x.square().sum_dim(1);
        let distance =
            squares(rows.clone()) + squares(codes.clone()).transpose() - rows.clone().matmul(codes.transpose()) * 2.0;
        let affinity = distance * -100.0;
        let p = softmax(affinity.clone(), 1);
        let per_sample = -(p.clone() * log_softmax(affinity + 1e-5, 1)).sum_dim(1).mean();
        let mean = p.mean_dim(0);
        let of_mean = -(mean.clone() * (mean + 1e-5).log()).sum();
        (per_sample - of_mean) * self.entropy_ratio
    }
}

/// `rows / max(|row|, 1e-12)` as PyTorch's `F.normalize`; the clamp under the root keeps the gradient of a zero row 0.
fn normalize(rows: Tensor<2>) -> Tensor<2> {
    let norm = rows.clone().square().sum_dim(1).clamp_min(1e-24).sqrt();
    rows / norm
}

/// First index of the smallest |row - code|², `[rows]`; |row|² is the same for every code and is left out.
fn nearest(rows: Tensor<2>, codes: Tensor<2>) -> Tensor<1, Int> {
    let half_squares = codes.clone().square().sum_dim(1).transpose() * 0.5;
    let (n, d) = (rows.dims()[0], rows.dims()[1]);
    let codes = codes.transpose();
    let block = (SCORES / codes.dims()[1]).max(1);
    let parts = (0..n)
        .step_by(block)
        .map(|start| {
            let part = rows.clone().slice([start..(start + block).min(n), 0..d]);
            (part.matmul(codes.clone()) - half_squares.clone()).argmax(1).squeeze_dim::<1>(1)
        })
        .collect();
    Tensor::cat(parts, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equally_near_codes_wins() {
        let device = Device::flex();
        let rows = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.2]], &device);
        let codes = Tensor::<2>::from_floats([[0.0, 2.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], &device);
        let ids = nearest(rows, codes).into_data().iter::<i64>().collect::<Vec<_>>();
        assert_eq!(ids, [2, 1, 4]);
    }

    #[test]
    fn normalising_a_zero_row_gives_zeros_and_a_finite_gradient() {
        let device = Device::flex().autodiff();
        let x = Tensor::<2>::from_floats([[0.0, 0.0], [3.0, 4.0]], &device).require_grad();
        let y = normalize(x.clone());
        let grads = y.clone().sum().backward();
        assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 0.6, 0.8]);
        let grad = x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!(grad.iter().all(|g| g.is_finite()), "{grad:?}");
    }

    #[test]
    fn gradients_pass_straight_through() {
        let device = Device::flex().autodiff();
        let quantizer = VectorQuantizer::new(&VqConfig { codebook_l2_norm: false, ..VqConfig::tiny() }, &device);
        let z = Tensor::<4>::random([1, 8, 2, 2], burn::tensor::Distribution::Default, &device).require_grad();
        let grads = (quantizer.forward(z.clone()).quantized * 3.0).sum().backward();
        let grad = z.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
        assert!(grad.iter().all(|&g| (g - 3.0).abs() < 1e-6), "{grad:?}");
    }

    #[test]
    fn the_entropy_loss_is_lower_where_codes_are_used_evenly_and_surely() {
        let device = Device::flex();
        let config = VqConfig { entropy_loss_ratio: 1.0, codebook_size: 2, codebook_embed_dim: 2, ..VqConfig::tiny() };
        let quantizer = VectorQuantizer::new(&config, &device);
        let codes = Tensor::<2>::from_floats([[1.0, 0.0], [-1.0, 0.0]], &device);
        let loss = |rows: [[f32; 2]; 2]| {
            quantizer.entropy_loss(&Tensor::from_floats(rows, &device), codes.clone()).into_scalar::<f32>()
        };
        let (even, one, unsure) =
            (loss([[1.0, 0.0], [-1.0, 0.0]]), loss([[1.0, 0.0], [1.0, 0.0]]), loss([[0.0, 1.0], [0.0, 1.0]]));
        assert!((even + std::f32::consts::LN_2).abs() < 1e-3 && one.abs() < 1e-3 && unsure.abs() < 1e-3);
    }
}
