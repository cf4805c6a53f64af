//! Files as others write them are recognised, checked and brought into this program's form: the golden cases' own
//! weights and checkpoints, all of them small.

use std::path::{Path, PathBuf};

use artune::formats::Tensors;
use artune::model::clip::ClipConfig;
use artune::model::published::Architecture;
use artune::model::transformer::ModelType;
use artune::model::weights::{self, Loading};
use artune::platform::files;
use artune::session::networks::examine;
use burn::prelude::Device;

fn reference() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn opened(path: &Path) -> Tensors {
    Tensors::open(files::source(path).expect("a file")).expect("a file of tensors")
}

#[test]
fn the_weights_of_every_golden_case_are_recognised_and_fit() {
    let mut seen = 0;
    for entry in std::fs::read_dir(reference()).expect("a folder").flatten() {
        let (folder, name) = (entry.path(), entry.file_name().into_string().expect("a name"));
        let path = folder.join("weights.safetensors");
        if !path.is_file() {
            continue;
        }
        let examined = examine(&path, None).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        println!("{examined}");
        assert!(examined.found().fits(), "{examined}");
        let kind = match &examined.found().architecture {
            Architecture::Gpt(c) if c.model_type == ModelType::T2i => "llamagen_gpt_t2i",
            Architecture::Gpt(_) => "llamagen_gpt_c2i",
            Architecture::Vq(_) => "llamagen_vq",
            Architecture::TamingVq(_) => "taming_vqgan",
            Architecture::Net2Net(..) => "taming_net2net",
            Architecture::Clip(_) => {
                if name.starts_with("openai") {
                    "openai_clip"
                } else {
                    "openclip"
                }
            }
            Architecture::Inception(_) => "inception",
            Architecture::EfficientNetLite0 => "efficientnet",
        };
        assert!(name.starts_with(kind), "{name} is no {kind}");
        seen += 1;
    }
    assert!(seen >= 12, "{seen} cases");
}

#[test]
fn checkpoints_of_the_peers_become_files_of_ours_with_equal_numbers() {
    for checkpoint in [
        "llamagen_gpt_c2i_mha_b16/checkpoint_model.pt",
        "openai_clip_fp16/jit_archive.pt",
        "taming_vqgan_m11_attn2/last.ckpt",
    ] {
        let path = reference().join(checkpoint);
        let examined = examine(&path, None).unwrap_or_else(|e| panic!("{checkpoint}: {e:#}"));
        assert!(examined.found().fits(), "{examined}");
        let dir = tempfile::tempdir().expect("a folder");
        let out = dir.path().join("imported.safetensors");
        examined.import(false, &out).expect("written");
        let (ours, theirs) = (opened(&out), opened(&path.with_file_name("weights.safetensors")));
        for key in theirs.names() {
            assert_eq!(ours.f32(key).expect("numbers"), theirs.f32(key).expect("numbers"), "{checkpoint}: {key}");
            assert_eq!(ours.info(key), theirs.info(key), "{checkpoint}: {key}");
        }
        assert_eq!(ours.names().count(), theirs.names().count());
        let again = examine(&out, None).expect("a network");
        assert!(again.found().fits() && again.found().architecture == examined.found().architecture, "{again}");
    }
}

#[test]
fn a_network_is_loaded_straight_from_a_torchscript_archive() {
    let path = reference().join("openai_clip_fp16/jit_archive.pt");
    let examined = examine(&path, None).expect("a network");
    let Architecture::Clip(config) = &examined.found().architecture else { panic!("{examined}") };
    let device = Device::flex();
    let fill = |path: &Path| {
        let mut clip = ClipConfig::init(config, &device);
        weights::load_from(&mut clip, &opened(path).into(), Loading::default()).expect("filled");
        weights::save_bytes(&clip, false, &[]).expect("bytes")
    };
    assert!(fill(&path) == fill(&path.with_file_name("weights.safetensors")), "other numbers");
}
