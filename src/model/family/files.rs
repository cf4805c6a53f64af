//! The files that a family's weights come from.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CLASSES, FamilyError, Role};
use crate::model::weights::{self, WeightsError};
use crate::platform::files;
use crate::platform::rng::Key;

/// Seed of the tiny family's weights.
const PROCEDURAL_SEED: u64 = 2603_23086;

/// Where a network's weights are from, and which they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file; `None` for the weights that ship.
    pub path: Option<PathBuf>,
    /// Sixteen hex digits of the SHA-256 of the file.
    pub hash: String,
}

/// The file of `role` in `folder`, where there is one.
fn place(folder: &Path, role: Role) -> Option<PathBuf> {
    let name = format!("{role}.safetensors");
    [folder.join(&name), folder.join(role.name()).join(name)].into_iter().find(|path| files::is_file(path))
}

/// Whether `folder` has weights of any role.
pub(super) fn has_any(folder: &Path) -> bool {
    Role::ALL.iter().any(|role| place(folder, *role).is_some())
}

/// The bytes of one network's weights.
pub(super) struct WeightFile {
    pub(super) role: Role,
    path: Option<PathBuf>,
    bytes: Cow<'static, [u8]>,
}

impl WeightFile {
    /// `<role>.safetensors` of `folder`, directly or in a folder of the role's name (as `artune pretrain` leaves it),
    /// where there is one; else the weights that ship.
    pub(super) fn find(role: Role, folder: Option<&Path>) -> Result<Self, FamilyError> {
        // A folder without any weights is a mistyped one.
        if let Some(folder) = folder.filter(|folder| !has_any(folder)) {
            let roles = Role::ALL.map(Role::name).join(", ");
            return Err(FamilyError::NoWeights { path: folder.display().to_string(), roles });
        }
        let path = folder.and_then(|folder| place(folder, role));
        let bytes = match &path {
            Some(path) => {
                let wrap = |source| FamilyError::Io { path: path.display().to_string(), source };
                Cow::Owned(files::read(path).map_err(wrap)?)
            }
            None => Cow::Borrowed(role.embedded()?),
        };
        if bytes.is_empty() {
            return Err(FamilyError::Untrained(role));
        }
        Ok(Self { role, path, bytes })
    }

    fn error(&self, source: WeightsError) -> FamilyError {
        let from = self.path.as_ref().map_or_else(|| "of this program".to_string(), |p| p.display().to_string());
        FamilyError::Weights { role: self.role, from, source }
    }

    /// The classes that the file names.
    pub(super) fn classes(&self) -> Result<Option<Vec<String>>, FamilyError> {
        let notes = weights::metadata(&self.bytes).map_err(|e| self.error(e))?;
        Ok(notes.get(CLASSES).and_then(|names| serde_json::from_str(names).ok()))
    }

    pub(super) fn fill<M: Module>(&self, mut module: M) -> Result<M, FamilyError> {
        weights::load(&mut module, &self.bytes).map_err(|e| self.error(e))?;
        Ok(module)
    }

    pub(super) fn source(&self) -> Source {
        let hash = Sha256::digest(&self.bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Source { path: self.path.clone(), hash }
    }
}

/// Fills `from`, on the CPU, with procedural weights and carries them over to `to`.
pub(super) fn procedural<M: Module>(role: Role, from: M, mut to: M) -> Result<M, FamilyError> {
    let wrap = |source| FamilyError::Weights { role, from: "procedural".into(), source };
    let filled = from.map(&mut Procedural { key: Key::new(PROCEDURAL_SEED).fold(role as u64), place: 0 });
    let bytes = weights::save_bytes(&filled, false, &[]).map_err(wrap)?;
    weights::load(&mut to, &bytes).map_err(wrap)?;
    Ok(to)
}

/// Gives every weight a normal number of deviation `1 / sqrt(fan in)`. Gains and biases, which start out all equal,
/// stay as they are.
struct Procedural {
    key: Key,
    place: u64,
}

impl ModuleMapper for Procedural {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.place += 1;
        let mut random = self.key.fold(self.place).stream();
        param.map(|tensor| {
            let (dims, device) = (tensor.dims(), tensor.device());
            let values: Vec<f32> = tensor.into_data().iter().collect();
            let equal = values.windows(2).all(|pair| pair[0] == pair[1]);
            // Linear layers are [in, out], convolutions [out, in, h, w].
            let fan_in = if D == 4 { dims[1..].iter().product() } else { dims[0] };
            let scale = (fan_in as f32).powf(-0.5);
            let fill = |value| if equal { value } else { random.normal() * scale };
            Tensor::from_data(TensorData::new(values.into_iter().map(fill).collect::<Vec<f32>>(), dims), &device)
        })
    }
}
