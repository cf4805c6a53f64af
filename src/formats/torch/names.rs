//! Which of the objects in a checkpoint are the network, and what its tensors are called.

use std::collections::BTreeMap;

use crate::formats::FormatError;
use crate::formats::pickle::{Dict, Pickle, Value};

/// What checkpoints keep a network in, the first that is there: as LlamaGen's samplers look for it
/// (`autoregressive/sample/sample_c2i.py`: `model`, `module`, `state_dict`), taming-transformers and HPSv2
/// (`state_dict`). A moving average (`ema`) only where there is nothing else: the samplers do not use it. LlamaGen's own
/// measurement of its tokenizer (`tokenizer/tokenizer_image/reconstruction_vq_ddp.py`) prefers `ema` where a checkpoint
/// of the training has both; the published files have one.
const WRAPPERS: &[&str] = &["model", "module", "state_dict", "ema"];

/// How deep dictionaries and modules may lie in one another.
const MAX_DEPTH: usize = 32;

/// The network's tensors: their names, and their places in [`crate::formats::pickle::Heap::tensors`].
pub(super) struct Named {
    /// Which of [`WRAPPERS`] they were in.
    pub wrapper: Option<&'static str>,
    pub tensors: BTreeMap<String, u32>,
}

/// Finds the network's tensors. Attributes of TorchScript modules (`script`) and dictionaries in dictionaries are joined
/// by dots.
///
/// # Errors
/// Where there are none; where two have the same name, or names take more than the pickle can stand for.
pub(super) fn named(pickle: &Pickle, script: bool) -> Result<Named, FormatError> {
    let root = match (pickle.heap.dict(pickle.root), pickle.root) {
        (Some(root), _) => root,
        (None, Value::Opaque(class)) if class.len > 0 => {
            return Err(FormatError::Unsupported(format!(
                "it holds an object of the class {}, and its code is not run; save its state_dict() instead",
                class.of(pickle.bytes).escape_ascii()
            )));
        }
        _ => return Err(FormatError::Unsupported("it holds no dictionary of tensors".into())),
    };
    let collect = |dict| -> Result<_, FormatError> {
        let len = pickle.bytes.len();
        // Every tensor takes more than 16 bytes of a sound pickle, and every name is written out in it.
        let mut names = Names { pickle, found: BTreeMap::new(), count: 64 + len / 16, text: 4096 + 8 * len };
        names.collect(dict, "", MAX_DEPTH)?;
        Ok(names.found)
    };
    let inner = WRAPPERS.iter().filter(|_| !script);
    let inner = inner.filter_map(|name| Some((Some(*name), pickle.heap.dict(pickle.get(root, name)?)?)));
    for (wrapper, dict) in inner.chain([(None, root)]) {
        let tensors: BTreeMap<String, u32> = collect(dict)?;
        if !tensors.is_empty() {
            return Ok(Named { wrapper, tensors });
        }
    }
    Err(FormatError::Unsupported("it holds no named tensors".into()))
}

struct Names<'a> {
    pickle: &'a Pickle<'a>,
    found: BTreeMap<String, u32>,
    /// How many tensors may still come.
    count: usize,
    /// How many bytes of names may still be looked at: one dictionary may lie in many others.
    text: usize,
}

impl Names<'_> {
    fn collect(&mut self, dict: &Dict, prefix: &str, depth: usize) -> Result<(), FormatError> {
        let pickle = self.pickle;
        if depth == 0 {
            return Err(FormatError::Unsupported(format!("dictionaries lie more than {MAX_DEPTH} deep")));
        }
        for &(key, value) in &dict.entries {
            self.spend(1)?;
            if !matches!(value, Value::Tensor(_) | Value::Dict(_)) {
                continue;
            }
            let name = match key {
                Value::Text(text) => {
                    self.spend(prefix.len() + text.len as usize)?;
                    format!("{prefix}{}", String::from_utf8_lossy(text.of(pickle.bytes)))
                }
                Value::Int(number) => {
                    self.spend(prefix.len())?;
                    format!("{prefix}{number}")
                }
                _ => continue,
            };
            if let Value::Tensor(tensor) = value {
                self.count = self.count.checked_sub(1).ok_or_else(too_many)?;
                if self.found.insert(name.clone(), tensor).is_some() {
                    return Err(FormatError::Damaged(format!("two tensors are called {name:?}")));
                }
            } else if let Some(inner) = pickle.heap.dict(value) {
                self.collect(inner, &format!("{name}."), depth - 1)?;
            }
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), FormatError> {
        self.text = self.text.checked_sub(bytes).ok_or_else(too_many)?;
        Ok(())
    }
}

fn too_many() -> FormatError {
    FormatError::Damaged("its names take more than the file can stand for".into())
}
