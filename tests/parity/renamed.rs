//! Weights whose keys differ from this program's, loaded through a function that names them.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use artune::model::weights;
use burn::module::Module;
use safetensors::SafeTensors;

/// Fills `model` with the weights in `file`, where `theirs` gives the file's name of a parameter. Returns the names that
/// no parameter has.
pub fn load<M: Module>(model: &mut M, file: &[u8], theirs: impl Fn(&str) -> String) -> Result<BTreeSet<String>> {
    let own = weights::save_bytes(model, false, &[])?;
    let own = SafeTensors::deserialize(&own)?;
    let file = SafeTensors::deserialize(file)?;
    let mut left: BTreeSet<String> = file.names().into_iter().map(str::to_owned).collect();
    let mut renamed = vec![];
    for key in own.names() {
        let name = theirs(key);
        renamed.push((key, file.tensor(&name).with_context(|| format!("{key} is called {name}"))?));
        left.remove(&name);
    }
    weights::load(model, &safetensors::serialize(renamed, None::<HashMap<String, String>>)?)?;
    Ok(left)
}
