//! Files are told by their tensors, their names and their notes.

use super::*;
use crate::formats::Dtype;
use crate::model::clip::{ClipConfig, TextConfig, VisionConfig};
use crate::model::published::tests::{LISTS, listed};
use crate::model::vq::VqConfig;

fn info(shape: &[usize], dtype: Dtype) -> Info {
    Info { shape: shape.to_vec(), dtype }
}

/// A list of tests/reference/manifests as a file.
fn list(name: &str) -> Listing {
    let dtype = |name: &str| match name {
        "f16" => Dtype::F16,
        "i64" => Dtype::I64,
        _ => Dtype::F32,
    };
    listed(name).into_iter().map(|(key, (shape, kind))| (key, info(&shape, dtype(&kind)))).collect()
}

/// A file of this program's names for a network.
fn of(architecture: &Architecture) -> Listing {
    architecture.manifest().into_iter().map(|(key, shape)| (key, info(&shape, Dtype::F32))).collect()
}

fn told(list: &Listing, file: &str) -> Recognised {
    recognise(list, &Notes::new(), file, None).unwrap_or_else(|e| panic!("{file}: {e}"))
}

#[test]
fn every_published_file_is_recognised_by_its_tensors_and_its_name() {
    for (name, networks) in LISTS {
        let list = list(name);
        for network in networks.iter().map(|name| Published::named(name).unwrap()) {
            let found = told(&list, network.file.unwrap_or("model_256.pt"));
            assert!(found.fits(), "{found}");
            assert_eq!(found.network.map(|n| n.name), Some(network.name), "{found}");
            assert_eq!(found.tensors, network.architecture.manifest().len());
        }
    }
}

#[test]
fn what_no_tensor_can_tell_is_said() {
    let vit_h = list("hpsv2_ViT-H-14");
    let found = told(&vit_h, "weights.bin");
    assert_eq!(found.network.unwrap().name, "clip-vit-h-14");
    assert_eq!(found.others, ["hpsv2", "hpsv2.1"]);
    assert!(found.to_string().contains("hpsv2, hpsv2.1 would have the same tensors"), "{found}");
    let found = recognise(&vit_h, &Notes::new(), "weights.bin", Some("hpsv2.1")).unwrap();
    assert_eq!((found.network.unwrap().name, found.fits()), ("hpsv2.1", true));
    let found = recognise(&vit_h, &Notes::new(), "weights.bin", Some("vq-8")).unwrap().to_string();
    assert!(found.starts_with("is not vq-8 (") && found.contains("; 0 of 299 tensors fit"), "{found}");
    let error = recognise(&vit_h, &Notes::new(), "weights.bin", Some("hps")).unwrap_err().to_string();
    assert!(error.contains("\"hps\"") && error.contains("hpsv2.1"), "{error}");
}

#[test]
fn a_file_that_does_not_fit_says_where() {
    let mut list = list("openai_ViT-L-14");
    list.insert("visual.proj".into(), info(&[1024, 512], Dtype::F16));
    list.insert("ln_final.bias".into(), info(&[768], Dtype::I64));
    list.remove("visual.transformer.resblocks.7.attn.out_proj.weight");
    list.insert("visual.transformer.resblocks.7.attn.gate".into(), info(&[1], Dtype::F16));
    list.insert("input_resolution".into(), info(&[], Dtype::I64));
    let found = told(&list, "ViT-L-14.pt");
    let text = found.to_string();
    assert!(!found.fits() && found.fitting() == 443, "{text}");
    for part in [
        "looks like clip-vit-l-14 (CLIP, pictures of 224x224 in patches of 14x14, 24 layers 1024 wide, QuickGELU)",
        "; 443 of 446 tensors fit",
        "missing (1): visual.transformer.resblocks.7.attn.out_proj.weight",
        "unexpected (1): visual.transformer.resblocks.7.attn.gate",
        "visual.proj (file F16 [1024, 512], network [1024, 768])",
        "ln_final.bias (file I64 [768], network [768])",
        "ignored, bookkeeping (1): input_resolution",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_network_of_no_published_size_is_measured() {
    let gpt = GptConfig {
        dim: 128,
        n_layer: 3,
        n_kv_head: Some(1),
        multiple_of: 128,
        num_classes: 10,
        block_size: 256,
        ..GptConfig::tiny()
    };
    let clip = ClipConfig {
        vision: VisionConfig { width: 64, head_width: 64, ..ClipConfig::tiny().vision },
        text: TextConfig { width: 64, heads: 1, ..ClipConfig::tiny().text },
        ..ClipConfig::tiny()
    };
    let uneven = VqConfig {
        decoder_ch_mult: vec![1, 2, 4],
        encoder_ch_mult: vec![2, 1, 3],
        resolution: 256,
        ..VqConfig::tiny()
    };
    let taming = VqConfig {
        ch: 32,
        encoder_ch_mult: vec![1, 1, 2],
        decoder_ch_mult: vec![1, 1, 2],
        attn_resolutions: Some(vec![256, 64]),
        ..VqConfig::vqgan(512)
    };
    let tiny = crate::model::mingpt::MinGptConfig::tiny();
    let mingpt = crate::model::mingpt::MinGptConfig { n_embd: 128, num_classes: tiny.vocab_size, ..tiny };
    for architecture in [
        Architecture::Gpt(gpt),
        Architecture::Vq(uneven),
        Architecture::TamingVq(taming.clone()),
        Architecture::Net2Net(mingpt, taming),
        Architecture::Clip(clip),
    ] {
        let found = told(&of(&architecture), "model.safetensors");
        assert!(found.fits() && found.network.is_none(), "{found}");
        assert_eq!(found.architecture, architecture);
        assert!(found.to_string().contains("of no published size"), "{found}");
    }
}

#[test]
fn a_table_of_a_thousand_rows_has_no_null_class() {
    let mut list = list("llamagen_GPT-B_c2i_256");
    list.insert("cls_embedding.embedding_table.weight".into(), info(&[1000, 768], Dtype::F32));
    let found = told(&list, "c2i_B_256.pt");
    let Architecture::Gpt(config) = &found.architecture else { panic!("{found}") };
    assert_eq!((config.num_classes, config.null_class(), found.fits()), (1000, None, true));
}

#[test]
fn a_file_of_ours_is_what_its_notes_say() {
    let config = GptConfig { n_head: 4, ..GptConfig::tiny() };
    let notes = Notes::from([(ARCHITECTURE.to_string(), serde_json::to_string(&config).unwrap())]);
    let file = of(&Architecture::Gpt(config.clone()));
    let found = recognise(&file, &notes, "prior.safetensors", None).unwrap();
    assert_eq!((found.fits(), found.architecture), (true, Architecture::Gpt(config)));
    let hps = Published::named("hpsv2").unwrap();
    let text = serde_json::to_string(&hps.architecture).unwrap();
    let notes = Notes::from([(ARCHITECTURE.to_string(), text), (NETWORK.to_string(), "hpsv2".into())]);
    let found = recognise(&list("hpsv2_ViT-H-14"), &notes, "x", None).unwrap();
    assert_eq!((found.network.unwrap().name, found.fits()), ("hpsv2", true));
}

#[test]
fn an_unknown_file_is_named_by_its_keys_and_helped() {
    let file = |keys: &[&str]| keys.iter().map(|key| (key.to_string(), info(&[3], Dtype::F32))).collect();
    let error = |keys: &[&str]| recognise(&file(keys), &Notes::new(), "x", None).unwrap_err().to_string();
    assert!(error(&["bert.a", "bert.b"]).contains("2 tensors such as bert.a, bert.b"));
    assert!(error(&["text_model.final_layer_norm.bias"]).contains("open_clip's own file"));
    assert!(error(&[]).contains("0 tensors"));
    // What a file says of itself may be absurd.
    for (dim, n_head, n_layer) in [(64, 0, 1), (64, 3, 1), (1 << 60, 1, 1), (64, 1, 1 << 40)] {
        let config = GptConfig { dim, n_head, n_layer, ..GptConfig::tiny() };
        let notes = Notes::from([(ARCHITECTURE.to_string(), serde_json::to_string(&config).unwrap())]);
        assert!(recognise(&Listing::new(), &notes, "x", None).is_err(), "{config:?}");
    }
    // Sizes that a network cannot have are no reason to fall over.
    let sizes = [("tok_embeddings.weight", &[0, 0][..]), ("visual.conv1.weight", &[1]), ("layers.99999999999.x", &[])];
    let list = sizes.iter().map(|(key, shape)| (key.to_string(), info(shape, Dtype::F32))).collect();
    assert!(recognise(&list, &Notes::new(), "x", None).is_err());
    let mut list = of(&Architecture::Clip(ClipConfig::small()));
    list.insert("visual.conv1.weight".into(), info(&[96, 0, 1 << 60, 4], Dtype::F32));
    assert!(recognise(&list, &Notes::new(), "x", None).is_err());
}

#[test]
fn a_few_keys_do_not_make_a_list_of_a_thousand_layers() {
    let keys = |keys: &[(&str, &[usize])]| -> Listing {
        keys.iter().map(|(key, shape)| (key.to_string(), info(shape, Dtype::F32))).collect()
    };
    let gpt = keys(&[
        ("tok_embeddings.weight", &[16, 64]),
        ("layers.0.attention.wqkv.weight", &[192, 64]),
        ("layers.0.feed_forward.w1.weight", &[256, 64]),
        ("layers.998.x", &[1]),
        ("cls_embedding.embedding_table.weight", &[11, 64]),
    ]);
    let mut vq = of(&Architecture::Vq(VqConfig::tiny()));
    vq.insert("encoder.conv_blocks.0.res.998.x".into(), info(&[1], Dtype::F32));
    for list in [gpt, vq] {
        assert!(infer(&list).is_none());
        assert!(recognise(&list, &Notes::new(), "x", None).is_err());
    }
    // Nor does a note.
    let config = GptConfig { n_layer: 999, ..GptConfig::tiny() };
    let notes = Notes::from([(ARCHITECTURE.to_string(), serde_json::to_string(&config).unwrap())]);
    assert!(recognise(&Listing::new(), &notes, "x", None).is_err());
}

#[test]
fn what_is_guessed_is_said_and_what_a_file_shows_is_not_guessed() {
    let width = |width, head_width, text: usize| {
        let vision = VisionConfig { width, head_width, layers: 1, ..ClipConfig::tiny().vision };
        let text = TextConfig { width: text, heads: text / 64, ..ClipConfig::tiny().text };
        ClipConfig { vision, text, ..ClipConfig::tiny() }
    };
    for config in [width(1280, 80, 1024), width(1408, 88, 1024), width(1664, 104, 1280)] {
        let found = told(&of(&Architecture::Clip(config.clone())), "open_clip_pytorch_model.bin");
        assert_eq!((found.architecture, found.guessed), (Architecture::Clip(config), vec!["activation"]));
    }
    // OpenAI's own archive: `build_model` has heads of 64 and QuickGELU whatever the width.
    let config = ClipConfig { quick_gelu: true, ..width(1280, 64, 192) };
    let mut archive = of(&Architecture::Clip(config.clone()));
    let other = archive.clone();
    for key in ["input_resolution", "context_length", "vocab_size"] {
        archive.insert(key.into(), info(&[], Dtype::I64));
    }
    let found = told(&archive, "x.pt");
    assert!(found.guessed.is_empty() && !found.to_string().contains("guessed"), "{found}");
    assert_eq!(found.architecture, Architecture::Clip(config));
    let found = told(&other, "x.pt");
    assert!(found.to_string().contains("\n  guessed, since no tensor shows it: heads of the text's tower, activation"));
    // A file of ours remembers.
    let text = serde_json::to_string(&found.architecture).unwrap();
    let notes = Notes::from([(ARCHITECTURE.to_string(), text), (GUESSED.to_string(), found.guessed.join(", "))]);
    assert_eq!(recognise(&other, &notes, "y", None).unwrap().guessed, found.guessed);
}

#[test]
fn networks_with_the_same_tensors_are_certain_only_where_something_tells() {
    let (l, h, vq) = (list("openclip_ViT-L-14"), list("hpsv2_ViT-H-14"), list("llamagen_VQ-16"));
    let mut openai = list("openai_ViT-L-14");
    for key in ["input_resolution", "context_length", "vocab_size"] {
        openai.insert(key.into(), info(&[], Dtype::I64));
    }
    for (list, file, network, certain) in [
        (&l, "open_clip_pytorch_model.bin", "clip-vit-l-14", false),
        (&l, "CLIP-ViT-L-14-laion2B.bin", "clip-vit-l-14-laion", true),
        (&l, "ViT-L-14.pt", "clip-vit-l-14", true),
        (&openai, "x.pt", "clip-vit-l-14", true),
        (&h, "weights.bin", "clip-vit-h-14", false),
        (&h, "HPS_v2_compressed.pt", "hpsv2", true),
        (&h, "HPS_v2.1_compressed.pt", "hpsv2.1", true),
        (&h, "hpsv2.1.safetensors", "hpsv2.1", true),
        (&vq, "vq_ds16_t2i.pt", "vq-16-t2i", true),
        (&vq, "vq.pt", "vq-16", false),
        (&list("llamagen_VQ-8"), "vq.pt", "vq-8", true),
        (&list("llamagen_GPT-B_c2i_384"), "256_or_384.pt", "llamagen-b", false),
    ] {
        let found = told(list, file);
        assert_eq!((found.network.map(|it| it.name), found.is_certain()), (Some(network), certain), "{file}: {found}");
    }
    assert!(recognise(&vq, &Notes::new(), "vq.pt", Some("vq-16-t2i")).unwrap().is_certain());
}

#[test]
fn a_policy_of_ours_without_a_name_is_of_the_published_shape_it_has() {
    for (name, classes) in [("llamagen-b-384", 1000), ("llamagen-xl-t2i-256", 12)] {
        let Architecture::Gpt(config) = &Published::named(name).unwrap().architecture else { panic!("{name}") };
        let config = GptConfig { num_classes: classes, ..config.clone() };
        let notes = Notes::from([(ARCHITECTURE.to_string(), serde_json::to_string(&config).unwrap())]);
        let found = recognise(&of(&Architecture::Gpt(config.clone())), &notes, "tuned.safetensors", None).unwrap();
        assert_eq!((found.network.map(|it| it.name), found.fits()), (Some(name), true), "{found}");
        assert_eq!(found.architecture, Architecture::Gpt(config));
    }
}
