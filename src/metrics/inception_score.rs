//! Inception score (Salimans et al. 2016): `exp(mean KL(p(y|x) || p(y)))` of a classifier's predictions. High where
//! each picture is clearly one class and the classes are evenly used. With another classifier, say which.

use super::{Estimate, Features, MetricError};

/// Score of `logits` `[n, classes]`, split into `splits` consecutive parts as torch-fidelity does: part `i` has the
/// rows `i n / splits .. (i + 1) n / splits`. Shuffle first with [`Features::select`] where the order has a meaning.
///
/// # Errors
/// [`MetricError::TooFew`] with fewer samples than splits, [`MetricError::Setting`] for 0 splits.
pub fn inception_score(logits: &Features, splits: usize) -> Result<Estimate, MetricError> {
    if splits == 0 {
        return Err(MetricError::Setting { name: "splits", value: 0.0, range: "1.." });
    }
    logits.at_least(splits, "the inception score")?;
    let n = logits.n();
    let log_p: Vec<Vec<f64>> = logits.rows().map(log_softmax).collect();
    let parts = (0..splits).map(|i| split_score(&log_p[i * n / splits..(i + 1) * n / splits]));
    Ok(Estimate::of(parts.collect()))
}

fn log_softmax(row: &[f64]) -> Vec<f64> {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + row.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    row.iter().map(|x| x - log_sum).collect()
}

fn split_score(log_p: &[Vec<f64>]) -> f64 {
    let n = log_p.len() as f64;
    let mut marginal = vec![0.0; log_p[0].len()];
    for row in log_p {
        marginal.iter_mut().zip(row).for_each(|(m, l)| *m += l.exp() / n);
    }
    // A probability of 0 adds nothing, although its logarithm is -inf.
    let term = |(l, m): (&f64, &f64)| if l.exp() > 0.0 { l.exp() * (l - m.ln()) } else { 0.0 };
    let divergence: f64 = log_p.iter().map(|row| row.iter().zip(&marginal).map(term).sum::<f64>()).sum();
    (divergence / n).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_and_even_predictions_score_the_number_of_classes() {
        let data = (0..9).map(|i| if i % 4 == 0 { 1e4 } else { 0.0 }).collect();
        let logits = Features::new(3, 3, data).unwrap();
        assert!((inception_score(&logits, 1).unwrap().mean - 3.0).abs() < 1e-9);
    }

    #[test]
    fn equal_predictions_score_one() {
        let logits = Features::new(4, 3, [0.5, 2.0, -1.0].repeat(4)).unwrap();
        let score = inception_score(&logits, 2).unwrap();
        assert!((score.mean - 1.0).abs() < 1e-12 && score.std < 1e-12, "{score:?}");
        assert!(inception_score(&logits, 5).is_err());
        assert!(inception_score(&logits, 0).is_err());
    }
}
