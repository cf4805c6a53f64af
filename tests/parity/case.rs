//! One golden case: a folder with `config.json`, `io.safetensors` (or `expected.safetensors`) and, for networks,
//! `weights.safetensors`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A case folder, read into memory.
pub struct Case {
    /// Name of the folder; its prefix is the kind.
    pub name: String,
    /// Where it lies.
    pub dir: PathBuf,
    /// `config.json`: hyper-parameters and notes.
    pub config: Value,
    /// What computes.
    pub device: Device,
    io: Vec<u8>,
    /// Names of the tensors that were asked for.
    read: RefCell<BTreeSet<String>>,
}

/// A tensor of the case, as plain host data.
#[derive(Clone, Debug)]
pub struct Array {
    /// Row-major shape.
    pub shape: Vec<usize>,
    /// Values, widened to f64 (I64 ids stay exact below 2^53).
    pub data: Vec<f64>,
}

impl Case {
    /// Reads the folder `dir`, to be checked on `device`.
    pub fn open(dir: &Path, device: &Device) -> Result<Self> {
        let name = dir.file_name().context("a folder name")?.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(dir.join("config.json")).context("config.json")?;
        let config = serde_json::from_str(&text).context("config.json")?;
        let io = std::fs::read(Self::values(dir)).context("io.safetensors")?;
        Ok(Self { name, dir: dir.to_owned(), config, device: device.clone(), io, read: RefCell::default() })
    }

    /// Path of the golden values in the folder `dir`: `io.safetensors`, or `expected.safetensors` where there is no
    /// input.
    pub fn values(dir: &Path) -> PathBuf {
        let expected = dir.join("expected.safetensors");
        if expected.is_file() { expected } else { dir.join("io.safetensors") }
    }

    /// Path of the weights in the peer's own key names.
    pub fn weights(&self) -> PathBuf {
        self.dir.join("weights.safetensors")
    }

    /// Names of every tensor in `io.safetensors`, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<_> = SafeTensors::deserialize(&self.io)?.names().iter().map(|n| n.to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// Whether `io.safetensors` has a tensor of that name.
    pub fn has(&self, name: &str) -> bool {
        self.names().is_ok_and(|n| n.iter().any(|n| n == name))
    }

    /// Names of the tensors in `io.safetensors` that no check has asked for: values that would prove nothing.
    pub fn unread(&self) -> Result<Vec<String>> {
        Ok(self.names()?.into_iter().filter(|name| !self.read.borrow().contains(name)).collect())
    }

    /// The tensor `name` of `io.safetensors`.
    pub fn array(&self, name: &str) -> Result<Array> {
        self.read.borrow_mut().insert(name.to_owned());
        let file = SafeTensors::deserialize(&self.io)?;
        let view = file.tensor(name).with_context(|| format!("{}: no tensor {name}", self.name))?;
        let bytes = view.data();
        let data = match view.dtype() {
            Dtype::F64 => bytes.chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().expect("8 bytes"))).collect(),
            Dtype::F32 => {
                bytes.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().expect("4 bytes")) as f64).collect()
            }
            Dtype::F16 => bytes.chunks_exact(2).map(|c| half::f16::from_le_bytes([c[0], c[1]]).to_f64()).collect(),
            Dtype::I64 => {
                bytes.chunks_exact(8).map(|c| i64::from_le_bytes(c.try_into().expect("8 bytes")) as f64).collect()
            }
            Dtype::I32 => {
                bytes.chunks_exact(4).map(|c| i32::from_le_bytes(c.try_into().expect("4 bytes")) as f64).collect()
            }
            Dtype::U8 | Dtype::BOOL => bytes.iter().map(|&b| b as f64).collect(),
            other => bail!("{}: {name} has unexpected type {other:?}", self.name),
        };
        Ok(Array { shape: view.shape().to_vec(), data })
    }

    /// The floating-point tensor `name`, on the case's device.
    pub fn tensor<const D: usize>(&self, name: &str) -> Result<Tensor<D>> {
        self.tensor_on(name, &self.device)
    }

    /// The same on another device, which may record gradients.
    pub fn tensor_on<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>> {
        let array = self.array(name)?;
        Ok(Tensor::from_data(TensorData::new(array.f32(), array.dims::<D>()?), device))
    }

    /// The ids `name`, on the case's device.
    pub fn ids<const D: usize>(&self, name: &str) -> Result<Tensor<D, Int>> {
        self.ids_on(name, &self.device)
    }

    /// The same on another device.
    pub fn ids_on<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D, Int>> {
        let array = self.array(name)?;
        Ok(Tensor::from_data(TensorData::new(array.i32(), array.dims::<D>()?), device))
    }

    /// Fails unless `got` equals the tensor `name` within `tolerance`; a tensor that the case does not have is not
    /// asked for.
    pub fn compare<const D: usize>(&self, name: &str, got: Tensor<D>, tolerance: f64) -> Result<()> {
        if self.has(name) { close_f32(name, &host(got)?, &self.array(name)?, tolerance) } else { Ok(()) }
    }

    /// A whole number of `config.json`, by dotted path (`"model.dim"`).
    pub fn usize(&self, path: &str) -> Result<usize> {
        let value = self.value(path)?;
        Ok(value.as_u64().with_context(|| format!("{}: {path} = {value} is no whole number", self.name))? as usize)
    }

    /// A number of `config.json`, by dotted path.
    pub fn f64(&self, path: &str) -> Result<f64> {
        let value = self.value(path)?;
        value.as_f64().with_context(|| format!("{}: {path} = {value} is no number", self.name))
    }

    /// An entry of `config.json`, by dotted path.
    pub fn value(&self, path: &str) -> Result<&Value> {
        path.split('.')
            .try_fold(&self.config, |v, key| v.get(key))
            .with_context(|| format!("{}: config.json has no {path}", self.name))
    }
}

impl Array {
    /// Values as f32.
    pub fn f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }

    /// Values as i32 ids.
    pub fn i32(&self) -> Vec<i32> {
        self.data.iter().map(|&x| x as i32).collect()
    }

    /// Shape as an array of `D` sizes.
    pub fn dims<const D: usize>(&self) -> Result<[usize; D]> {
        self.shape.clone().try_into().map_err(|s| anyhow::anyhow!("shape {s:?} has not {D} dimensions"))
    }
}

/// The values of a tensor, row by row.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.into_data().try_to_vec().map_err(|e| anyhow::anyhow!("{e:?}"))
}

/// The ids of a tensor, row by row, whatever the device counts in.
pub fn host_ids<const D: usize>(tensor: Tensor<D, Int>) -> Vec<i32> {
    tensor.into_data().iter::<i32>().collect()
}

/// Fails unless `got` equals `want` within `tol` everywhere; prints the largest difference and the first five values.
pub fn close(what: &str, got: &[f64], want: &[f64], tol: f64) -> Result<()> {
    ensure!(got.len() == want.len(), "{what}: {} values, expected {}", got.len(), want.len());
    let mut worst = 0.0f64;
    for (g, w) in got.iter().zip(want) {
        let d = if g == w { 0.0 } else { (g - w).abs() };
        worst = if d.is_nan() { f64::INFINITY } else { worst.max(d) };
    }
    println!("    {what}: max |d| = {worst:.2e} (tolerance {tol:.0e})");
    let five = |v: &[f64]| v.iter().take(5).map(|x| format!("{x:.6}")).collect::<Vec<_>>().join(" ");
    ensure!(worst <= tol, "{what}: max |d| = {worst:.3e} > {tol:.1e}\n  got  {}\n  want {}", five(got), five(want));
    Ok(())
}

/// [`close`] for f32 results.
pub fn close_f32(what: &str, got: &[f32], want: &Array, tol: f64) -> Result<()> {
    let got: Vec<f64> = got.iter().map(|&x| x as f64).collect();
    close(what, &got, &want.data, tol)
}

/// Fails unless the ids are exactly equal.
pub fn same_ids(what: &str, got: &[i32], want: &Array) -> Result<()> {
    ensure!(
        got == want.i32(),
        "{what}: ids differ\n  got  {:?}\n  want {:?}",
        &got[..got.len().min(16)],
        &want.i32()[..want.data.len().min(16)]
    );
    println!("    {what}: {} ids equal", got.len());
    Ok(())
}
