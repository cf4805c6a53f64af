//! Counter-based random numbers: the same key gives the same numbers on every device, in any order.
//!
//! A [`Key`] is folded from what a number is *for* (`seed, update, prompt, sample, token`), never from how many
//! numbers were drawn before it. So a resumed run, a single step and a whole run see the same randomness, and the
//! processor, a graphics card and a browser write the same picture.

/// Names a stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u64);

impl Key {
    /// The root key of a run.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// A key for one part (`part` is an update, a prompt, a sample, a token …) of what `self` stands for.
    pub fn fold(self, part: u64) -> Self {
        Self(mix(self.0.rotate_left(23) ^ mix(part.wrapping_add(0xd1b5_4a32_d192_ed03))))
    }

    /// The key itself, for a kernel that makes the same numbers.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// A generator that starts at the key's first number.
    pub fn stream(self) -> Stream {
        Stream { key: self.0, counter: 0 }
    }

    /// The first `n` standard Gumbel numbers of this key: `argmax(logits + gumbels)` draws from softmax(logits).
    pub fn gumbels(self, n: usize) -> Vec<f32> {
        let mut stream = self.stream();
        (0..n).map(|_| -(-stream.uniform().ln()).ln()).collect()
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection whose every output bit depends on every input bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The numbers of one key, in order.
#[derive(Clone, Debug)]
pub struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// The next 64 random bits.
    fn next_u64(&mut self) -> u64 {
        self.counter += 1;
        mix(self.key.wrapping_add(self.counter.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// Uniform in (0, 1), ends excluded, so that its logarithm is finite.
    pub fn uniform(&mut self) -> f32 {
        // 23 bits, centred in their cell: exact in f32, never 0 or 1.
        ((self.next_u32() >> 9) as f32 + 0.5) * (1.0 / (1u32 << 23) as f32)
    }

    /// Uniform in (`low`, `high`).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// A whole number in `0..n`, evenly; `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        // Lemire's multiply-shift; the bias is below n / 2^64.
        ((self.next_u64() as u128 * n as u128) >> 64) as usize
    }

    /// Standard normal (Box-Muller).
    pub fn normal(&mut self) -> f32 {
        let (u, v) = (self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
    }

    /// `n` different numbers of `0..of`, in random order (all of them, shuffled, where `n >= of`).
    pub fn choose(&mut self, n: usize, of: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..of).collect();
        let n = n.min(of);
        for i in 0..n {
            let j = i + self.below(of - i);
            all.swap(i, j);
        }
        all.truncate(n);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_always_gives_the_same_numbers() {
        let key = Key::new(7).fold(3).fold(1);
        assert_eq!(key.gumbels(5), Key::new(7).fold(3).fold(1).gumbels(5));
        assert_ne!(key.gumbels(5), Key::new(7).fold(1).fold(3).gumbels(5), "the order of the parts matters");
        assert_ne!(key.gumbels(5), Key::new(8).fold(3).fold(1).gumbels(5));
    }

    #[test]
    fn numbers_have_the_moments_they_should() {
        let mut s = Key::new(1).stream();
        let n = 100_000;
        let uniforms: Vec<f32> = (0..n).map(|_| s.uniform()).collect();
        assert!(uniforms.iter().all(|&u| u > 0.0 && u < 1.0));
        let mean = uniforms.iter().map(|&u| u as f64).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 5e-3, "{mean}");
        let normals: Vec<f64> = (0..n).map(|_| s.normal() as f64).collect();
        let var = normals.iter().map(|x| x * x).sum::<f64>() / n as f64;
        assert!((var - 1.0).abs() < 2e-2, "{var}");
        let gumbel_mean = Key::new(2).gumbels(n).iter().map(|&g| g as f64).sum::<f64>() / n as f64;
        assert!((gumbel_mean - 0.5772).abs() < 2e-2, "{gumbel_mean}");
    }

    #[test]
    fn gumbel_argmax_draws_from_the_softmax() {
        let logits = [0.0f32, 1.0, 2.0];
        let total: f32 = logits.iter().map(|l| l.exp()).sum();
        let mut counts = [0usize; 3];
        let n = 30_000;
        for i in 0..n {
            let g = Key::new(5).fold(i).gumbels(3);
            let best = (0..3).max_by(|&a, &b| (logits[a] + g[a]).total_cmp(&(logits[b] + g[b]))).expect("three");
            counts[best] += 1;
        }
        for i in 0..3 {
            let (got, want) = (counts[i] as f32 / n as f32, logits[i].exp() / total);
            assert!((got - want).abs() < 0.01, "{got} {want}");
        }
    }

    #[test]
    fn choose_gives_different_numbers() {
        let mut got = Key::new(3).stream().choose(10, 16);
        got.sort();
        got.dedup();
        assert_eq!(got.len(), 10);
        assert_eq!(Key::new(3).stream().choose(20, 4).len(), 4);
    }
}
