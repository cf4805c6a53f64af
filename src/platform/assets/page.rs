//! Assets of a page: fetched from beside it, kept in the browser's Cache storage.

use std::sync::OnceLock;

use js_sys::{Reflect, Uint8Array};
use sha2::{Digest, Sha256};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Cache, CacheQueryOptions, ReadableStreamDefaultReader, RequestCache, RequestInit, Response, Url, Window,
};

use super::{Asset, AssetError, Progress};

/// What the cache is called.
const CACHE: &str = "artune-assets";
/// Hexadecimal digits of the checksum that name a version.
const VERSION: usize = 12;

/// What was fetched, by [`Asset`]; never let go, since networks are built from it again and again.
static FETCHED: [OnceLock<&'static [u8]>; Asset::ALL.len()] = [const { OnceLock::new() }; Asset::ALL.len()];

pub(super) fn get(asset: Asset) -> Result<&'static [u8], AssetError> {
    FETCHED[asset as usize].get().copied().ok_or(AssetError::Missing(asset))
}

pub(super) async fn fetch(assets: &[Asset], mut progress: impl FnMut(Progress)) -> Result<(), AssetError> {
    let missing: Vec<Asset> = assets.iter().copied().filter(|asset| get(*asset).is_err()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let window = web_sys::window().ok_or(AssetError::Missing(*first))?;
    let cache = open_cache(&window).await;
    for asset in missing {
        let bytes = bring(&window, cache.as_ref(), asset, &mut progress).await?;
        let _ = FETCHED[asset as usize].set(Vec::leak(bytes));
    }
    Ok(())
}

/// An asset from the cache, or else from where the page is from.
async fn bring(
    window: &Window,
    cache: Option<&Cache>,
    asset: Asset,
    progress: &mut impl FnMut(Progress),
) -> Result<Vec<u8>, AssetError> {
    let url = url(window, asset);
    if let Some(kept) = kept(cache, &url).await
        && let Ok(bytes) = read(&kept, asset, &url, progress).await
    {
        return Ok(bytes);
    }
    let offline = |error: JsValue| AssetError::Offline { url: url.clone(), why: said(&error) };
    let request = RequestInit::new();
    if cache.is_some() {
        // It is kept once, by us; and a stale copy elsewhere is not asked.
        request.set_cache(RequestCache::NoStore);
    }
    let answer = JsFuture::from(window.fetch_with_str_and_init(&url, &request)).await.map_err(offline)?;
    let answer: Response = answer.unchecked_into();
    if !answer.ok() {
        return Err(AssetError::Status { url, status: answer.status() });
    }
    let bytes = read(&answer, asset, &url, progress).await?;
    if let Some(cache) = cache {
        keep(cache, &url, &bytes).await;
    }
    Ok(bytes)
}

/// Reads the body of an answer part by part, and checks that it is the asset.
async fn read(
    answer: &Response,
    asset: Asset,
    url: &str,
    progress: &mut impl FnMut(Progress),
) -> Result<Vec<u8>, AssetError> {
    let offline = |error: JsValue| AssetError::Offline { url: url.into(), why: said(&error) };
    let damaged = |why: String| AssetError::Damaged { url: url.into(), why };
    let total = asset.bytes();
    let mut bytes = Vec::with_capacity(total as usize);
    if let Some(body) = answer.body() {
        let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        loop {
            let part = JsFuture::from(reader.read()).await.map_err(offline)?;
            let part = Reflect::get(&part, &"value".into()).unwrap_or_default();
            // The last one has no value.
            let Some(part) = part.dyn_ref::<Uint8Array>() else { break };
            if bytes.len() as u64 + u64::from(part.length()) > total {
                drop(reader.cancel());
                return Err(damaged(format!("it has more than {total} bytes")));
            }
            bytes.extend(part.to_vec());
            progress(Progress { asset, received: bytes.len() as u64, total });
        }
    }
    if bytes.len() as u64 != total {
        return Err(damaged(format!("it has {} bytes instead of {total}", bytes.len())));
    }
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if sha256 != asset.sha256() {
        return Err(damaged("its checksum differs".into()));
    }
    Ok(bytes)
}

/// The full address: relative to the page, so that it may lie anywhere; each version has its own.
fn url(window: &Window, asset: Asset) -> String {
    let relative = format!("assets/{}?v={}", asset.path(), &asset.sha256()[..VERSION]);
    let base = window.document().and_then(|document| document.base_uri().ok().flatten());
    let full = base.and_then(|base| Some(Url::new_with_base(&relative, &base).ok()?.href()));
    full.unwrap_or(relative)
}

/// The cache; there is none where the page did not come over https, or the browser does not allow it.
async fn open_cache(window: &Window) -> Option<Cache> {
    let caches = window.caches().ok().filter(|caches| caches.is_object())?;
    Some(JsFuture::from(caches.open(CACHE)).await.ok()?.unchecked_into())
}

async fn kept(cache: Option<&Cache>, url: &str) -> Option<Response> {
    JsFuture::from(cache?.match_with_str(url)).await.ok()?.dyn_into().ok()
}

/// Keeps an asset in place of its older versions. Where it cannot be kept it is fetched again next time.
async fn keep(cache: &Cache, url: &str, bytes: &[u8]) {
    let any_version = CacheQueryOptions::new();
    any_version.set_ignore_search(true);
    let _ = JsFuture::from(cache.delete_with_str_and_options(url, &any_version)).await;
    if let Ok(answer) = Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(bytes))) {
        let _ = JsFuture::from(cache.put_with_str(url, &answer)).await;
    }
}

/// The browser's words for an error.
fn said(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| error.message().into())
}
