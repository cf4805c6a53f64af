//! Parity with the peers' own code: runs every golden case found under `tests/reference/`, or under the
//! folder named by `ARTUNE_REFERENCE`. A case's kind is the prefix of its folder name; new folders of a
//! known kind need no code, and one of an unknown kind fails.

#[path = "parity/case.rs"]
mod case;
#[path = "parity/clip.rs"]
mod clip;
#[path = "parity/formats.rs"]
mod formats;
#[path = "parity/gradients.rs"]
mod gradients;
#[path = "parity/grpo.rs"]
mod grpo;
#[path = "parity/inception.rs"]
mod inception;
#[path = "parity/llamagen_gpt.rs"]
mod llamagen_gpt;
#[path = "parity/llamagen_t2i.rs"]
mod llamagen_t2i;
#[path = "parity/llamagen_vq.rs"]
mod llamagen_vq;
#[path = "parity/loo_fid.rs"]
mod loo_fid;
#[path = "parity/metric.rs"]
mod metric;
#[path = "parity/preprocess.rs"]
mod preprocess;
#[path = "parity/renamed.rs"]
mod renamed;
#[path = "parity/resize.rs"]
mod resize;
#[path = "parity/taming.rs"]
mod taming;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use artune::gpu::{adapters, choose};
use burn::tensor::Device;
use case::Case;

type Check = fn(&Case) -> Result<()>;

/// Kinds by folder-name prefix; the first match wins.
const KINDS: &[(&str, Check)] = &[
    ("llamagen_gpt_c2i", llamagen_gpt::check),
    ("llamagen_gpt_t2i", llamagen_t2i::check),
    ("llamagen_vq", llamagen_vq::check),
    ("openclip_", clip::check),
    ("openai_clip", clip::check),
    ("clip_tokenizer", clip::check_tokenizer),
    ("loo_fid", loo_fid::check),
    ("grpo_sequence", grpo::check_sequence),
    ("grpo_token", grpo::check_token),
    ("inception_fid", inception::check),
    ("metric_fid", metric::check_fid),
    ("metric_isc", metric::check_isc),
    ("metric_kid", metric::check_kid),
    ("metric_prdc", metric::check_prdc),
    ("adm_center_crop", preprocess::check_adm),
    ("clip_preprocess", preprocess::check_clip),
    ("resize_ops", resize::check),
    ("taming_vqgan", taming::check_vqgan),
    ("taming_net2net_cls", taming::check_net2net),
    ("taming_permuters", taming::check_permuters),
    ("npz_formats", formats::check),
    ("pt_formats", formats::check),
];

/// Tensors of `io.safetensors` that no check reads, by kind, how their names begin, and why.
const UNREAD: &[(&str, &str, &str)] = &[
    ("npz_formats", "", "the check reads the whole file itself, bit by bit"),
    ("pt_formats", "", "the check reads the whole file itself, bit by bit"),
    ("llamagen_gpt_t2i", "caption_after_drop", "cap_proj_after_drop, which is checked, is a function of it alone"),
    ("metric_isc", "isc0.perm", "this row is not shuffled"),
    ("metric_isc", "isc2.perm", "this row is not shuffled"),
];

/// Fails where a case holds values that no check asked for and no reason excuses.
fn check_unread(case: &Case) -> Result<()> {
    let excused =
        |name: &str| UNREAD.iter().any(|(kind, start, _)| case.name.starts_with(kind) && name.starts_with(start));
    let unread: Vec<String> = case.unread()?.into_iter().filter(|name| !excused(name)).collect();
    anyhow::ensure!(unread.is_empty(), "no check reads {}", unread.join(", "));
    Ok(())
}

/// Where the golden cases lie.
fn root() -> PathBuf {
    std::env::var_os("ARTUNE_REFERENCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from)
}

/// Checks every case on `device`; fails with all complaints together. On the processor every golden value must be read;
/// a software adapter is spared what would take it minutes.
fn check_all(device: &Device, whole: bool) {
    let root = root();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap_or_else(|e| panic!("{}: {e}; set ARTUNE_REFERENCE to a folder of golden cases", root.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("config.json").is_file())
        .collect();
    folders.sort();
    assert!(!folders.is_empty(), "{} has no case folders", root.display());

    let (mut passed, mut failed, mut seen) = (0, vec![], BTreeSet::<&str>::new());
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name}");
        let kind = KINDS.iter().find(|(prefix, _)| name.starts_with(prefix));
        seen.extend(kind.map(|(prefix, _)| *prefix));
        let result = match kind {
            Some((_, check)) => Case::open(&folder, device).and_then(|case| {
                formats::check_beside_weights(&case)?;
                check(&case)?;
                if whole { check_unread(&case) } else { Ok(()) }
            }),
            None => Err(anyhow::anyhow!("no check knows this kind of case")),
        };
        match result {
            Ok(()) => passed += 1,
            Err(error) => failed.push(format!("{name}: {error:#}")),
        }
    }
    println!("{passed} cases passed");
    if std::env::var_os("ARTUNE_REFERENCE").is_none() {
        let unseen: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).filter(|kind| !seen.contains(kind)).collect();
        assert!(unseen.is_empty(), "no case is here of the kinds {}", unseen.join(", "));
    }
    assert!(failed.is_empty(), "{} golden cases failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_golden_case_passes_on_the_cpu() {
    check_all(&Device::flex(), true);
}

/// On whatever adapter there is; a software one will do. Where `ARTUNE_REQUIRE_GPU` is set there must be one.
#[test]
fn every_golden_case_passes_on_a_graphics_device() {
    let Some(adapter) = adapters().into_iter().next() else {
        assert!(std::env::var_os("ARTUNE_REQUIRE_GPU").is_none(), "no adapter was found, and one is required");
        return println!("no adapter here: nothing to check");
    };
    println!("on {}", adapter.name);
    check_all(&choose(&adapter.index.to_string()).expect("a listed adapter opens").device, false);
}
