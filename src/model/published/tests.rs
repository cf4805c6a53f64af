//! The manifests against lists made from the authors' own classes at full size.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::prelude::Device;
use serde_json::Value;

use super::manifest::{self, Manifest};
use super::*;
use crate::model::clip::ClipConfig;
use crate::model::efficientnet::EfficientNetLite0Config;
use crate::model::features::FeatureNetConfig;
use crate::model::transformer::GptConfig;
use crate::model::weights;

/// Each list with the networks that it is of.
pub(super) const LISTS: &[(&str, &[&str])] = &[
    ("llamagen_GPT-B_c2i_256", &["llamagen-b"]),
    ("llamagen_GPT-B_c2i_384", &["llamagen-b-384"]),
    ("llamagen_GPT-L_c2i_384", &["llamagen-l", "llamagen-l-384"]),
    ("llamagen_GPT-XL_c2i_384", &["llamagen-xl", "llamagen-xl-384"]),
    ("llamagen_GPT-XXL_c2i_384", &["llamagen-xxl", "llamagen-xxl-384"]),
    ("llamagen_GPT-3B_c2i_384", &["llamagen-3b", "llamagen-3b-384"]),
    ("llamagen_GPT-XL_t2i_256", &["llamagen-xl-t2i-256", "llamagen-xl-t2i-512"]),
    ("llamagen_VQ-16", &["vq-16", "vq-16-t2i"]),
    ("llamagen_VQ-8", &["vq-8"]),
    ("taming_vqgan_imagenet_f16_1024", &["vqgan-f16-1024"]),
    ("taming_vqgan_imagenet_f16_16384", &["vqgan-f16-16384"]),
    ("taming_cin_transformer", &["taming-cin"]),
    ("openclip_ViT-B-32", &["clip-vit-b-32", "clip-vit-b-32-laion"]),
    ("openclip_ViT-L-14", &["clip-vit-l-14", "clip-vit-l-14-laion"]),
    ("openclip_ViT-H-14", &["clip-vit-h-14"]),
    ("hpsv2_ViT-H-14", &["hpsv2", "hpsv2.1"]),
    ("openai_ViT-B-32", &["clip-vit-b-32"]),
    ("openai_ViT-L-14", &["clip-vit-l-14"]),
    ("manifest_pt_inception-2015-12-05", &["inception-fid"]),
    ("manifest_torchvision_inception_v3", &["inception-imagenet"]),
];

/// A list: name → shape, and `f32`, `f16` or `i64`.
pub(super) fn listed(name: &str) -> BTreeMap<String, (Vec<usize>, String)> {
    let path = format!("{}/tests/reference/manifests/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let json: Value = serde_json::from_str(&text).unwrap();
    let entry = |(key, value): (&String, &Value)| {
        let (shape, dtype) = match value {
            Value::Array(pair) => (&pair[1], &pair[0]),
            map => (&map["shape"], &map["dtype"]),
        };
        let dtype = dtype.as_str().unwrap().replace("float", "f").replace("int", "i");
        (key.clone(), (serde_json::from_value(shape.clone()).unwrap(), dtype))
    };
    json.get("tensors").unwrap_or(&json).as_object().unwrap().iter().map(entry).collect()
}

#[test]
fn every_manifest_is_the_authors_own_key_by_key() {
    for (list, names) in LISTS {
        for name in *names {
            let network = Published::named(name).unwrap_or_else(|| panic!("{name}"));
            let ours: BTreeMap<_, _> = network.architecture.manifest().into_iter().collect();
            let (ignored, theirs): (BTreeMap<_, _>, BTreeMap<_, _>) = listed(list)
                .into_iter()
                .partition(|(key, _)| !ours.contains_key(key) && weights::ignored(key).is_some());
            let theirs: BTreeMap<_, _> = theirs.into_iter().map(|(key, (shape, _))| (key, shape)).collect();
            assert_eq!(ours.len(), network.architecture.manifest().len(), "{name}: a key twice");
            for (key, shape) in &theirs {
                assert_eq!(ours.get(key), Some(shape), "{list}: {key}");
            }
            assert_eq!(ours.len(), theirs.len(), "{list}");
            println!("{name}: {} tensors, {} ignored", ours.len(), ignored.len());
        }
    }
    let covered: Vec<&str> = LISTS.iter().flat_map(|(_, names)| *names).copied().collect();
    for network in Published::all() {
        assert!(covered.contains(&network.name) || network.name == "efficientnet-lite0", "{}", network.name);
    }
}

#[test]
fn every_list_is_checked() {
    let folder = format!("{}/tests/reference/manifests", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(LISTS.iter().any(|(list, _)| format!("{list}.json") == name), "{name}");
    }
}

/// The names and shapes in a module, scalars without a dimension where the manifest has none.
fn holds<M: Module>(module: &M, manifest: Manifest) {
    let theirs = weights::expected(module);
    let ours: BTreeMap<String, Vec<usize>> = manifest.into_iter().collect();
    for (key, (shape, _)) in &theirs {
        let ours = ours.get(key).unwrap_or_else(|| panic!("not in the manifest: {key}"));
        assert!(weights::fits(ours, shape), "{key}: {ours:?} in the manifest, {shape:?} in the network");
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn manifests_are_what_our_networks_hold() {
    let device = Device::flex();
    let gqa = GptConfig { n_kv_head: Some(1), class_dropout_prob: 0.0, ..GptConfig::tiny() };
    for config in [GptConfig::tiny(), gqa] {
        holds(&config.init(&device), manifest::gpt(&config));
    }
    for config in [VqConfig::tiny(), VqConfig { num_res_blocks: 2, ..VqConfig::small() }] {
        holds(&config.init(&device), manifest::vq(&config));
    }
    for config in [ClipConfig::tiny(), ClipConfig::small()] {
        holds(&config.init(&device), manifest::clip(&config));
    }
    let config = FeatureNetConfig::tiny();
    holds(&config.init(&device), manifest::features(&config));
    holds(&EfficientNetLite0Config::default().init(&device), manifest::efficientnet_lite0());
}

#[test]
fn every_published_network_says_what_it_is_and_where_from() {
    for network in Published::all() {
        assert!(network.about.ends_with('.') && network.repository.contains('/'), "{network:?}");
        let again = Published::named(network.name).unwrap();
        assert!(std::ptr::eq(again, network), "{} is the name of two", network.name);
    }
}
