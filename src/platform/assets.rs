//! Weights, pictures and lists that ship with the program: compiled into a program for a computer, fetched by a page.

#[cfg(target_family = "wasm")]
mod page;

/// Of each asset its place under `assets/`, its size in bytes and its SHA-256. A test keeps them true.
macro_rules! assets {
    ($($(#[$doc:meta])* $name:ident = $path:literal, $bytes:literal, $sha256:literal;)*) => {
        /// A file that ships with the program.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Asset {
            $($(#[$doc])* $name,)*
        }

        impl Asset {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            const fn row(self) -> (&'static str, u64, &'static str) {
                match self {
                    $(Self::$name => ($path, $bytes, $sha256),)*
                }
            }

            #[cfg(not(target_family = "wasm"))]
            fn embedded(self) -> &'static [u8] {
                match self {
                    $(Self::$name => include_bytes!(concat!("../../assets/", $path)),)*
                }
            }
        }
    };
}

assets! {
    /// Weights of the small family's tokenizer.
    Tokenizer = "small/tokenizer.safetensors", 1_736_702,
        "f4f6b50258ac4cf9586591b7b7744c4914a50e95d2f70c9d992ccfe7cc453e8a";
    /// Weights of its prior.
    Prior = "small/prior.safetensors", 5_225_152,
        "72750361600266e25184ea35d33c8862a08f5c91695736beb6a8f5696a400992";
    /// Weights of its CLIP towers.
    Clip = "small/clip.safetensors", 1_896_986,
        "8aa9953430ebd7c6cc7195b74ff1f2ba8f149e06658d01ea66df364c9ab5db7a";
    /// Weights of its preference towers.
    Preference = "small/preference.safetensors", 1_897_138,
        "1a4cfd37ada46da867f38f7bcf94193722c2a743930ef29efb346439df07761a";
    /// Weights of its feature network.
    Features = "small/features.safetensors", 563_376,
        "7d79ec8bf5ce91a9bed3a33e4f676860419ca2e211e633123ec031c73b6ff8ce";
    /// Weights of its judge.
    Judge = "small/judge.safetensors", 563_376,
        "7546fb5f3369776e3e2417a5765a7b787f517e927ad1cd409ea8e677a9ab710e";
    /// The picture set.
    Pictures = "emoji16.webp", 3_356_202,
        "253075509e2242c8975a91a5452b33f65d11c2caa97db9e321dec17fda9abbb6";
    /// The merges of CLIP's byte-pair tokenizer.
    Vocabulary = "bpe_simple_vocab_16e6.txt.gzip", 1_356_917,
        "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a";
    /// What a run with these networks and pictures begins with.
    Statistics = "statistics.safetensors", 1_180_168,
        "149ace021ff0cb965ce657644649f7c2153521e0bc74b061e1bfc71ad674a79b";
    /// Weights of the evaluation network; only measuring needs them.
    EfficientNet = "efficientnet_lite0_f16.safetensors", 9_409_928,
        "c4117a10d10cf2f3b5a1ed7ae5e966d9939525b09aff571725cea4635cdab3f5";
    /// The recorded run that is shown before there is another.
    Recording = "demo.json.gzip", 483_659,
        "f1ee093ebae6ba84314f95adb7aa3cbe1f0d0e6b3cab6280b8b72e3bccbe8ad7";
    /// The names of ImageNet's classes; only networks that were published for them need it.
    ImageNetClasses = "imagenet_classes.txt.gzip", 9_875,
        "e3754e7d86be6b5008c12fad0cdbb7734f803d77bca341c95d73673fdf3424fc";
}

/// What a run cannot begin without.
pub const STARTUP: &[Asset] = &[
    Asset::Tokenizer,
    Asset::Prior,
    Asset::Clip,
    Asset::Preference,
    Asset::Features,
    Asset::Judge,
    Asset::Pictures,
    Asset::Vocabulary,
    Asset::Statistics,
];

impl Asset {
    /// Its place under `assets/`.
    pub const fn path(self) -> &'static str {
        self.row().0
    }

    /// Its size in bytes.
    pub const fn bytes(self) -> u64 {
        self.row().1
    }

    /// The SHA-256 of its content, in hexadecimal.
    pub const fn sha256(self) -> &'static str {
        self.row().2
    }
}

/// How far a fetch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being fetched.
    pub asset: Asset,
    /// Bytes of it that have come.
    pub received: u64,
    /// Bytes it has.
    pub total: u64,
}

/// Why an asset is not there. A program for a computer always has all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// Nobody has fetched it.
    #[error("assets/{} has not been fetched yet; wait until the page has loaded, or reload it", .0.path())]
    Missing(Asset),
    /// Nothing, or not everything, came from where the page is from.
    #[error("{url} cannot be fetched ({why}); check the connection, then reload the page")]
    Offline {
        /// The full address.
        url: String,
        /// What the browser says.
        why: String,
    },
    /// There was another answer than the file.
    #[error("{url} is answered with status {status}; {}", advice(*.status))]
    Status {
        /// The full address.
        url: String,
        /// The status code of HTTP.
        status: u16,
    },
    /// Another file came.
    #[error(
        "{url} is not the file that belongs to this page ({why}); reload the page, and if that does not help, clear what \
         the browser has stored of it"
    )]
    Damaged {
        /// The full address.
        url: String,
        /// What is wrong with it.
        why: String,
    },
}

fn advice(status: u16) -> &'static str {
    match status {
        404 => "the file is missing there: whoever publishes the page has to add it",
        _ => "wait a little, then reload the page",
    }
}

/// The bytes of an asset.
///
/// # Errors
/// On a page [`AssetError::Missing`], unless [`fetch`] has brought it. Otherwise never.
pub fn get(asset: Asset) -> Result<&'static [u8], AssetError> {
    #[cfg(target_family = "wasm")]
    return page::get(asset);
    #[cfg(not(target_family = "wasm"))]
    Ok(asset.embedded())
}

/// Brings `assets` that are not there yet, one after the other; `progress` hears of every part that comes. Checked by
/// their SHA-256 and kept by the browser for the next visit. A program for a computer has nothing to do.
///
/// # Errors
/// [`AssetError`], a sentence that says what to do. What was brought before it stays.
pub async fn fetch(assets: &[Asset], progress: impl FnMut(Progress)) -> Result<(), AssetError> {
    #[cfg(target_family = "wasm")]
    return page::fetch(assets, progress).await;
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = (assets, progress);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_table_tells_size_and_checksum_of_every_file() {
        for asset in Asset::ALL {
            let bytes = get(*asset).expect("compiled in");
            let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let (size, path) = (bytes.len() as u64, asset.path());
            assert_eq!((asset.bytes(), asset.sha256()), (size, sha256.as_str()), "write these figures of {path} down");
        }
    }

    #[test]
    fn a_run_needs_all_but_the_evaluation_network_the_recording_and_the_names_of_imagenet() {
        let rest = Asset::ALL.iter().filter(|asset| !STARTUP.contains(asset));
        assert!(rest.eq(&[Asset::EfficientNet, Asset::Recording, Asset::ImageNetClasses]));
    }

    #[test]
    fn errors_say_which_file_and_what_to_do() {
        let url = || "https://example.org/a/assets/emoji16.webp?v=253075509e22".to_string();
        let missing = AssetError::Status { url: url(), status: 404 }.to_string();
        assert!(missing.contains("emoji16.webp") && missing.contains("404") && missing.contains("has to add it"));
        let busy = AssetError::Status { url: url(), status: 503 }.to_string();
        assert!(busy.contains("503") && busy.contains("reload"));
        let early = AssetError::Missing(Asset::Prior).to_string();
        assert!(early.contains("assets/small/prior.safetensors") && early.contains("reload"));
    }
}
