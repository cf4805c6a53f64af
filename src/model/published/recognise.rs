//! Which network does a file hold? Told by the names and shapes of its tensors.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::infer::infer;
use super::{Architecture, Published, manifest};
use crate::formats::{Info, Tensors};
use crate::model::transformer::GptConfig;
use crate::model::weights;

/// Keys that are shown of each kind of trouble.
const SHOWN: usize = 8;

/// What a file holds: names, and of each its shape and kind of number.
pub type Listing = BTreeMap<String, Info>;

/// What a file's own header says of it; see [`Tensors::notes`].
pub type Notes = BTreeMap<String, String>;

/// Why a file's network is unknown.
#[derive(Debug, Error)]
pub enum RecogniseError {
    /// No network here has such names.
    #[error("none of the networks known here: the file has {tensors} tensors such as {such}{hint}")]
    Unknown {
        /// How many tensors the file has.
        tensors: usize,
        /// A few of their names.
        such: String,
        /// What to do about it, if anything.
        hint: &'static str,
    },
    /// A name was asked for that no network has.
    #[error("no published network is called {name:?}; there are {known}")]
    Name {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// What a file holds, and how well.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The published network that it is; `None` where it is of no published size.
    pub network: Option<&'static Published>,
    /// Others with the same tensors, which no file can be told from by its tensors.
    pub others: Vec<&'static str>,
    /// Which network, and of what shape.
    pub architecture: Architecture,
    /// How many tensors such a network has.
    pub tensors: usize,
    /// Numbers in them together.
    pub numbers: u64,
    /// Keys that the network needs and the file lacks.
    pub missing: Vec<String>,
    /// Keys of the file that the network has no parameter for.
    pub extra: Vec<String>,
    /// Keys whose shape or kind of number differs, with both.
    pub misfit: Vec<String>,
    /// Keys of the file that are of no use here, by what they are.
    pub ignored: BTreeMap<&'static str, Vec<String>>,
}

/// The names and shapes of an open file.
pub fn listing(file: &Tensors) -> Listing {
    file.names().filter_map(|name| Some((name.to_string(), file.info(name)?.clone()))).collect()
}

/// The network in a file called `file` with these tensors and notes; `name` is the network that the caller says it is,
/// of [`Published::all`].
///
/// # Errors
/// Where nothing here resembles it, or no network has the name. A file that resembles one but does not fit is none.
pub fn recognise(list: &Listing, notes: &Notes, file: &str, name: Option<&str>) -> Result<Recognised, RecogniseError> {
    if let Some(name) = name {
        let network = Published::named(name).ok_or_else(|| RecogniseError::Name {
            name: name.into(),
            known: Published::all().iter().map(|network| network.name).collect::<Vec<_>>().join(", "),
        })?;
        return Ok(compare(list, Some(network), network.architecture.clone()));
    }
    if let Some(architecture) = noted(notes) {
        let name = notes.get(NETWORK).and_then(|name| Published::named(name));
        return Ok(compare(list, name.filter(|network| network.architecture == architecture), architecture));
    }
    let published = Published::all().iter().map(|network| compare(list, Some(network), network.architecture.clone()));
    let inferred = infer(list).map(|architecture| compare(list, None, architecture));
    let hinted = |r: &Recognised| r.network.map_or(0, |network| network.hinted(file));
    // The first of the best: published before inferred, and in the registry's order.
    let best = published.chain(inferred).min_by_key(|r| (r.problems(), std::cmp::Reverse(hinted(r))));
    let Some(mut best) = best.filter(|best| 2 * best.fitting() >= best.tensors) else {
        return Err(unknown(list));
    };
    if let Some(network) = best.network {
        let ours = network.architecture.manifest();
        let same = |other: &&Published| other.name != network.name && other.architecture.manifest() == ours;
        best.others = Published::all().iter().filter(same).map(|other| other.name).collect();
    }
    Ok(best)
}

/// Note under which a file of ours names its network.
pub const NETWORK: &str = "network";
/// Note under which a file of ours has its [`Architecture`] as JSON; a tuned policy's has a [`GptConfig`].
pub const ARCHITECTURE: &str = "architecture";

/// The architecture that a file written by this program says it has.
fn noted(notes: &Notes) -> Option<Architecture> {
    let text = notes.get(ARCHITECTURE)?;
    let gpt = || serde_json::from_str::<GptConfig>(text).ok().map(Architecture::Gpt);
    serde_json::from_str(text).ok().or_else(gpt).filter(Architecture::is_possible)
}

fn unknown(list: &Listing) -> RecogniseError {
    let hint = if list.keys().any(|key| key.starts_with("vision_model.") || key.starts_with("text_model.")) {
        "; these are Hugging Face transformers' names for CLIP: take OpenAI's or open_clip's own file"
    } else if list.keys().any(|key| key.starts_with("visual.trunk.")) {
        "; a CLIP whose picture tower is timm's is not read: take one with open_clip's own ViT"
    } else {
        ""
    };
    let such = list.keys().take(4).cloned().collect::<Vec<_>>().join(", ");
    RecogniseError::Unknown { tensors: list.len(), such, hint }
}

fn compare(list: &Listing, network: Option<&'static Published>, architecture: Architecture) -> Recognised {
    let manifest = architecture.manifest();
    let numbers = manifest::numbers(&manifest);
    let tensors = manifest.len();
    let (mut missing, mut misfit) = (vec![], vec![]);
    let needed: BTreeMap<String, Vec<usize>> = manifest.into_iter().collect();
    for (key, shape) in &needed {
        match list.get(key) {
            None => missing.push(key.clone()),
            Some(info) if weights::fits(&info.shape, shape) && info.dtype.is_float() => {}
            Some(info) => misfit.push(format!("{key} (file {} {:?}, network {shape:?})", info.dtype, info.shape)),
        }
    }
    let mut ignored: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut extra = vec![];
    for key in list.keys().filter(|key| !needed.contains_key(*key)) {
        match weights::ignored(key) {
            Some(why) => ignored.entry(why).or_default().push(key.clone()),
            None => extra.push(key.clone()),
        }
    }
    Recognised { network, others: vec![], architecture, tensors, numbers, missing, extra, misfit, ignored }
}

impl Recognised {
    /// Whether no other published network has the same tensors.
    pub fn is_certain(&self) -> bool {
        self.others.is_empty()
    }

    /// Whether the file holds the network completely and nothing else of use.
    pub fn fits(&self) -> bool {
        self.problems() == 0
    }

    /// How many of the network's tensors the file has as they should be.
    pub fn fitting(&self) -> usize {
        self.tensors - self.missing.len() - self.misfit.len()
    }

    fn problems(&self) -> usize {
        self.missing.len() + self.misfit.len() + self.extra.len()
    }

    /// What the file is called here: the network's name, or what it is.
    pub fn name(&self) -> String {
        self.network.map_or_else(|| self.architecture.to_string(), |network| network.name.to_string())
    }
}

impl fmt::Display for Recognised {
    /// A line that says what it is and whether it fits, and one for each thing worth knowing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.fits(), 2 * self.fitting() >= self.tensors) {
            (true, _) => {}
            (false, true) => f.write_str("looks like ")?,
            (false, false) => f.write_str("is not ")?,
        }
        match self.network {
            Some(network) => write!(f, "{} ({})", network.name, self.architecture)?,
            None => write!(f, "{}, of no published size", self.architecture)?,
        }
        write!(f, ", {:.1} million parameters", self.numbers as f64 / 1e6)?;
        match self.fits() {
            true => write!(f, "; all {} tensors fit", self.tensors)?,
            false => write!(f, "; {} of {} tensors fit", self.fitting(), self.tensors)?,
        }
        if !self.others.is_empty() {
            let others = self.others.join(", ");
            write!(f, "\n  {others} would have the same tensors: if it is one of these, say so with --as")?;
        }
        let kinds =
            [("missing", &self.missing), ("unexpected", &self.extra), ("of another shape or type", &self.misfit)];
        for (what, keys) in kinds.into_iter().filter(|(_, keys)| !keys.is_empty()) {
            write!(f, "\n  {what} ({}): {}", keys.len(), shown(keys))?;
        }
        for (why, keys) in &self.ignored {
            write!(f, "\n  ignored, {why} ({}): {}", keys.len(), shown(keys))?;
        }
        Ok(())
    }
}

fn shown(keys: &[String]) -> String {
    let more = keys.len().saturating_sub(SHOWN);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", keys[..keys.len() - more].join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LISTS, listed};
    use super::*;
    use crate::formats::Dtype;
    use crate::model::clip::ClipConfig;
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
            vision: crate::model::clip::VisionConfig { width: 64, head_width: 64, ..ClipConfig::tiny().vision },
            text: crate::model::clip::TextConfig { width: 64, heads: 1, ..ClipConfig::tiny().text },
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
        let tiny = super::super::MinGptConfig::tiny();
        let mingpt = super::super::MinGptConfig { n_embd: 128, num_classes: tiny.vocab_size, ..tiny };
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
        let sizes =
            [("tok_embeddings.weight", &[0, 0][..]), ("visual.conv1.weight", &[1]), ("layers.99999999999.x", &[])];
        let list = sizes.iter().map(|(key, shape)| (key.to_string(), info(shape, Dtype::F32))).collect();
        assert!(recognise(&list, &Notes::new(), "x", None).is_err());
        let mut list = of(&Architecture::Clip(ClipConfig::small()));
        list.insert("visual.conv1.weight".into(), info(&[96, 0, 1 << 60, 4], Dtype::F32));
        assert!(recognise(&list, &Notes::new(), "x", None).is_err());
    }
}
