//! Parity with the peers' own code: runs every golden case found under `tests/reference/`, or under the
//! folder named by `ARTUNE_REFERENCE`. A case's kind is the prefix of its folder name; new folders of a
//! known kind need no code. Kinds that are not supported yet are listed as skipped, by name.

#[path = "parity/case.rs"]
mod case;
#[path = "parity/clip.rs"]
mod clip;
#[path = "parity/grpo.rs"]
mod grpo;
#[path = "parity/llamagen_gpt.rs"]
mod llamagen_gpt;
#[path = "parity/llamagen_vq.rs"]
mod llamagen_vq;
#[path = "parity/loo_fid.rs"]
mod loo_fid;
#[path = "parity/metric.rs"]
mod metric;

use std::path::PathBuf;

use anyhow::Result;
use case::Case;

type Check = fn(&Case) -> Result<()>;

/// Kinds by folder-name prefix; the first match wins.
const KINDS: &[(&str, Check)] = &[
    ("llamagen_gpt_c2i", llamagen_gpt::check),
    ("llamagen_vq", llamagen_vq::check),
    ("openclip_", clip::check),
    ("openai_clip", clip::check),
    ("clip_tokenizer", clip::check_tokenizer),
    ("loo_fid", loo_fid::check),
    ("grpo_sequence", grpo::check_sequence),
    ("grpo_token", grpo::check_token),
    ("metric_fid", metric::check_fid),
    ("metric_isc", metric::check_isc),
    ("metric_kid", metric::check_kid),
    ("metric_prdc", metric::check_prdc),
];

#[test]
fn every_golden_case_of_a_known_kind_passes() {
    let root = std::env::var_os("ARTUNE_REFERENCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap_or_else(|e| panic!("{}: {e}; set ARTUNE_REFERENCE to a folder of golden cases", root.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("config.json").is_file() && path.join("io.safetensors").is_file())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} has no case folders", root.display());

    let (mut passed, mut skipped, mut failed) = (0, vec![], vec![]);
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((_, check)) = KINDS.iter().find(|(prefix, _)| name.starts_with(prefix)) else {
            skipped.push(name);
            continue;
        };
        println!("{name}");
        match Case::open(&folder).and_then(|case| check(&case)) {
            Ok(()) => passed += 1,
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    println!("{passed} cases passed; skipped, kind not supported yet: {skipped:?}");
    assert!(failed.is_empty(), "{} golden cases failed:\n{}", failed.len(), failed.join("\n"));
}
