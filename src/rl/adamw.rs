//! AdamW (Loshchilov and Hutter, arXiv 1711.05101), as PyTorch does it, for every parameter of a network that has a
//! gradient. Its state can be read back without stopping the thread, which a page must not do.

use std::collections::BTreeMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::prelude::*;
use burn::tensor::Transaction;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::gpu::read::{ReadError, read_all};

/// Under which name a saved state has its step counts.
const STEPS: &str = "steps";

/// Numbers that are read back together, or one parameter's: 64 MB.
const TOGETHER: usize = 16 << 20;

/// Nobody makes so many steps.
const MOST_STEPS: i32 = 1 << 30;

/// Moving averages of one parameter's gradient and of its square, flat.
#[derive(Clone)]
struct Moments {
    steps: i32,
    first: Tensor<1>,
    second: Tensor<1>,
}

/// The optimiser with its state.
#[derive(Clone)]
pub struct AdamW {
    /// Decay of the moving average of the gradient.
    pub beta1: f32,
    /// Decay of the moving average of its square.
    pub beta2: f32,
    /// Guard against division by nothing.
    pub epsilon: f32,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    moments: BTreeMap<ParamId, Moments>,
}

impl AdamW {
    /// An optimiser that has seen no gradient yet.
    pub fn new(beta1: f32, beta2: f32, epsilon: f32, weight_decay: f64) -> Self {
        Self { beta1, beta2, epsilon, weight_decay, moments: BTreeMap::new() }
    }

    /// One step of every parameter of `module` that has a gradient.
    pub fn step<M: Module>(&mut self, learning_rate: f64, module: M, grads: GradientsParams) -> M {
        module.map(&mut Step { optimizer: self, learning_rate, grads })
    }

    /// `p - lr (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p)`.
    fn update<const D: usize>(&mut self, id: ParamId, tensor: Tensor<D>, grad: Tensor<D>, rate: f64) -> Tensor<D> {
        let flat = grad.flatten::<1>(0, D - 1);
        let (first, second) = (flat.clone() * (1.0 - self.beta1), flat.square() * (1.0 - self.beta2));
        let moments = match self.moments.remove(&id) {
            None => Moments { steps: 1, first, second },
            Some(before) => Moments {
                steps: before.steps + 1,
                first: before.first * self.beta1 + first,
                second: before.second * self.beta2 + second,
            },
        };
        let corrected = |moment: &Tensor<1>, beta: f32| moment.clone() / (1.0 - beta.powi(moments.steps));
        let root = corrected(&moments.second, self.beta2).sqrt() + self.epsilon;
        let change = (corrected(&moments.first, self.beta1) / root).reshape(tensor.dims());
        self.moments.insert(id, moments);
        let decay = rate * self.weight_decay;
        let decayed = if decay == 0.0 { tensor } else { tensor * (1.0 - decay) };
        decayed - change * rate
    }

    /// The state as a safetensors file: `<parameter>.first` and `.second` as f32, and the step counts. Beyond the file
    /// itself only a few moments lie in memory at a time.
    ///
    /// # Errors
    /// Where the device fails, or there is no memory for the file.
    pub async fn save(&self) -> Result<Vec<u8>, ReadError> {
        let steps: Vec<String> =
            self.moments.iter().map(|(id, moments)| format!("{} {}", id.val(), moments.steps)).collect();
        let mut header = serde_json::Map::new();
        header.insert("__metadata__".into(), json!({ STEPS: steps.join("\n") }));
        let (mut tensors, mut at) = (vec![], 0);
        for (id, Moments { first, second, .. }) in &self.moments {
            for (part, tensor) in [("first", first), ("second", second)] {
                let ([numbers], name) = (tensor.dims(), format!("{}.{part}", id.val()));
                let end = at + 4 * numbers;
                header.insert(name, json!({ "dtype": "F32", "shape": [numbers], "data_offsets": [at, end] }));
                tensors.push((numbers, tensor));
                at = end;
            }
        }
        let mut text = Value::Object(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut file = vec![];
        file.try_reserve_exact(8 + text.len() + at).map_err(|error| ReadError(error.to_string()))?;
        file.extend((text.len() as u64).to_le_bytes());
        file.append(&mut text);
        let mut tensors = tensors.into_iter().peekable();
        while tensors.peek().is_some() {
            let (mut transaction, mut together) = (Transaction::default(), 0);
            while let Some((numbers, tensor)) = tensors.next_if(|_| together < TOGETHER) {
                (transaction, together) = (transaction.register(tensor.clone()), together + numbers);
            }
            for data in read_all(transaction).await? {
                let numbers = data.as_slice::<f32>().map_err(|error| ReadError(error.to_string()))?;
                numbers.iter().for_each(|number| file.extend_from_slice(&number.to_le_bytes()));
            }
        }
        Ok(file)
    }

    /// Goes on from a saved state of `module`'s parameters, on `device`.
    ///
    /// # Errors
    /// A sentence, where the bytes are no such state.
    pub fn load<M: Module>(&mut self, bytes: &[u8], module: &M, device: &Device) -> Result<(), String> {
        let mut sizes = Sizes(BTreeMap::new());
        module.visit(&mut sizes);
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let steps =
            header.metadata().as_ref().and_then(|metadata| metadata.get(STEPS)).ok_or("it has no step counts")?;
        let moments = |name: &str, size: usize| -> Result<Tensor<1>, String> {
            let view = file.tensor(name).map_err(|error| error.to_string())?;
            if view.dtype() != Dtype::F32 {
                return Err(format!("{name} is not of 32-bit numbers"));
            }
            let values: Vec<f32> =
                view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            if values.len() != size {
                return Err(format!("{name} has {} numbers, and its parameter {size}", values.len()));
            }
            Ok(Tensor::from_data(TensorData::new(values, [size]), device))
        };
        let mut all = BTreeMap::new();
        for line in steps.lines() {
            let pair =
                line.split_once(' ').and_then(|(id, steps)| Some((id.parse::<u64>().ok()?, steps.parse().ok()?)));
            let pair = pair.filter(|(_, steps)| (1..MOST_STEPS).contains(steps));
            let (id, steps) = pair.ok_or_else(|| format!("{line:?} is no step count"))?;
            let size = sizes.0.get(&ParamId::from(id)).ok_or_else(|| format!("there is no parameter {id}"))?;
            let (first, second) = (moments(&format!("{id}.first"), *size)?, moments(&format!("{id}.second"), *size)?);
            all.insert(ParamId::from(id), Moments { steps, first, second });
        }
        self.moments = all;
        Ok(())
    }
}

/// How many numbers each parameter has.
struct Sizes(BTreeMap<ParamId, usize>);

impl ModuleVisitor for Sizes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, param.val().shape().num_elements());
    }
}

/// One step, parameter by parameter.
struct Step<'a> {
    optimizer: &'a mut AdamW,
    learning_rate: f64,
    grads: GradientsParams,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = match self.grads.remove::<D>(id) {
            None => tensor,
            Some(grad) => {
                let learns = tensor.is_require_grad();
                let moved = self.optimizer.update(id, tensor.inner(), grad, self.learning_rate);
                let moved = Tensor::from_inner(moved);
                if learns { moved.require_grad() } else { moved }
            }
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::AdamWConfig;

    use super::*;

    fn values(linear: &Linear) -> Vec<f32> {
        let mut values: Vec<f32> = linear.weight.val().into_data().iter().collect();
        values.extend(linear.bias.as_ref().expect("a bias").val().into_data().iter::<f32>());
        values
    }

    fn grads(linear: &Linear, step: usize) -> GradientsParams {
        let x: Vec<f32> = (0..12).map(|i| ((i * 7 + step * 5) % 11) as f32 / 5.0 - 1.0).collect();
        let x = Tensor::<2>::from_data(TensorData::new(x, [4, 3]), &Device::flex().autodiff());
        GradientsParams::from_grads(linear.forward(x).powf_scalar(2.0).mean().backward(), linear)
    }

    #[test]
    fn steps_equal_those_of_burns_own_bit_for_bit() {
        let linear = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        for decay in [0.0, 0.1] {
            let theirs = AdamWConfig::new().with_beta_2(0.95).with_epsilon(1e-8).with_weight_decay(decay);
            let (mut theirs, mut ours) = (theirs.init(), AdamW::new(0.9, 0.95, 1e-8, f64::from(decay)));
            let (mut a, mut b) = (linear.clone(), linear.clone());
            for step in 0..5 {
                a = theirs.step(0.01, a.clone(), grads(&a, step));
                b = ours.step(0.01, b.clone(), grads(&b, step));
                assert_eq!(values(&a), values(&b), "decay {decay}, step {step}");
            }
            assert_ne!(values(&a), values(&linear));
        }
    }

    #[test]
    fn a_saved_state_goes_on_bit_for_bit_and_a_damaged_one_is_refused() {
        let mut linear = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        let mut optimizer = AdamW::new(0.9, 0.999, 1e-8, 0.01);
        for step in 0..3 {
            linear = optimizer.step(0.01, linear.clone(), grads(&linear, step));
        }
        let saved = pollster::block_on(optimizer.save()).expect("saved");
        let mut again = AdamW::new(0.9, 0.999, 1e-8, 0.01);
        again.load(&saved, &linear, &Device::flex()).expect("loaded");
        let [one, two] = [&mut optimizer, &mut again].map(|o| o.step(0.01, linear.clone(), grads(&linear, 3)));
        assert_eq!(values(&one), values(&two));
        for cut in 0..saved.len() {
            assert!(again.load(&saved[..cut], &linear, &Device::flex()).is_err(), "cut at {cut}");
        }
        let other = LinearConfig::new(3, 2).init(&Device::flex().autodiff());
        let refused = again.load(&saved, &other, &Device::flex()).unwrap_err();
        assert!(refused.contains("there is no parameter"), "{refused}");
    }
}
