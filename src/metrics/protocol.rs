//! How a number was measured. A distance without its network, sample count and reference cannot be compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Below this many samples a Fréchet distance is visibly too large (the usual advice for FID).
pub const UNBIASED_FROM: usize = 2048;

/// Everything needed to measure a figure again; [`fmt::Display`] writes it as one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// Measure and feature network, as in `FD-EfficientNet-Lite0`.
    pub network: String,
    /// Generated pictures.
    pub n: usize,
    /// Reference pictures; 0 where there are only statistics of others.
    pub n_reference: usize,
    /// Classifier-free guidance scale; 1 is none.
    pub guidance: f64,
    /// Sampling temperature.
    pub temperature: f64,
    /// Seed of the generated pictures.
    pub seed: u64,
    /// Hash of the reference set, as hexadecimal digits; the first eight are shown.
    pub reference_hash: String,
    /// Anything else worth saying; empty for nothing.
    pub note: String,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, N = {}", self.network, grouped(self.n))?;
        if self.n < UNBIASED_FROM {
            write!(f, " (biased, N < {})", grouped(UNBIASED_FROM))?;
        }
        write!(f, ", guidance {}", self.guidance)?;
        if self.temperature != 1.0 {
            write!(f, ", temperature {}", self.temperature)?;
        }
        let hash: String = self.reference_hash.chars().take(8).collect();
        write!(f, ", seed {}", self.seed)?;
        if self.n_reference > 0 {
            write!(f, ", reference {hash} (N = {})", grouped(self.n_reference))?;
        }
        if !self.note.is_empty() {
            write!(f, ", {}", self.note)?;
        }
        Ok(())
    }
}

/// `12345` as `12,345`.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_is_one_line_that_says_everything() {
        let mut protocol = Protocol {
            network: "FD-EfficientNet-Lite0".into(),
            n: 256,
            n_reference: 3600,
            guidance: 2.0,
            temperature: 1.0,
            seed: 0,
            reference_hash: "ab12cd34ef567890".into(),
            note: String::new(),
        };
        let want =
            "FD-EfficientNet-Lite0, N = 256 (biased, N < 2,048), guidance 2, seed 0, reference ab12cd34 (N = 3,600)";
        assert_eq!(protocol.to_string(), want);
        (protocol.n, protocol.temperature, protocol.note) = (50_000, 0.9, "EMA weights".into());
        let want = "FD-EfficientNet-Lite0, N = 50,000, guidance 2, temperature 0.9, seed 0, reference ab12cd34 \
                    (N = 3,600), EMA weights";
        assert_eq!(protocol.to_string(), want);
    }
}
