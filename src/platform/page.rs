//! What a page has in place of a desktop: its address, files that come and go by the browser, and words outside the
//! canvas for the time before there is a picture, and for the time after all is lost.

use std::path::{Path, PathBuf};

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, Document, File, HtmlAnchorElement, HtmlElement, HtmlInputElement, Url};

use super::files;

/// Where files lie that a user gave to the page.
const UPLOADS: &str = "uploads";
/// No file beyond this size is taken, in bytes.
const LARGEST: f64 = 256.0 * 1024.0 * 1024.0;

fn document() -> Option<Document> {
    web_sys::window()?.document()
}

/// The element of the page with this id.
fn element<T: JsCast>(id: &str) -> Option<T> {
    document()?.get_element_by_id(id)?.dyn_into().ok()
}

/// The canvas that the program draws on.
pub fn canvas() -> Option<web_sys::HtmlCanvasElement> {
    element("artune")
}

/// The whole address of the page.
pub fn address() -> String {
    web_sys::window().and_then(|window| window.location().href().ok()).unwrap_or_default()
}

/// Names the tab.
pub fn title(text: &str) {
    document().iter().for_each(|document| document.set_title(text));
}

/// Says on the start screen what is going on, and how far it is (from 0 to 1), where that is known.
pub fn starting(text: &str, share: Option<f64>) {
    element::<HtmlElement>("start-text").iter().for_each(|line| line.set_text_content(Some(text)));
    let Some(bar) = element::<HtmlElement>("start-bar") else { return };
    let _ = match share {
        Some(share) => bar.set_attribute("value", &share.to_string()),
        None => bar.remove_attribute("value"),
    };
}

/// Takes the start screen away: the program has drawn its first picture.
pub fn started() {
    element::<HtmlElement>("start").iter().for_each(|start| start.set_hidden(true));
}

/// Shows the page's panel for trouble: what happened, and what to do. It has a button that begins again.
pub fn problem(what: &str, advice: &str) {
    let Some(window) = web_sys::window() else { return };
    let Ok(function) = Reflect::get(&window, &"artune_problem".into()) else { return };
    if let Ok(function) = function.dyn_into::<Function>() {
        let _ = function.call2(&JsValue::UNDEFINED, &what.into(), &advice.into());
    }
}

/// Begins the page again.
pub fn reload() {
    web_sys::window().iter().for_each(|window| drop(window.location().reload()));
}

/// A word kept for this tab only, also when it is loaded again.
pub fn recall(key: &str) -> Option<String> {
    web_sys::window()?.session_storage().ok()??.get_item(key).ok()?
}

/// Keeps a word for this tab, or forgets it.
pub fn remember(key: &str, value: Option<&str>) {
    let Some(storage) = web_sys::window().and_then(|window| window.session_storage().ok()?) else { return };
    let _ = match value {
        Some(value) => storage.set_item(key, value),
        None => storage.remove_item(key),
    };
}

/// Offers bytes as a download.
///
/// # Errors
/// Where the browser refuses, in its own words.
pub fn download(name: &str, bytes: &[u8]) -> Result<(), String> {
    let offer = || -> Result<(), JsValue> {
        let document = document().ok_or("there is no page")?;
        let blob = Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(bytes)))?;
        let url = Url::create_object_url_with_blob(&blob)?;
        let link: HtmlAnchorElement = document.create_element("a")?.dyn_into()?;
        link.set_href(&url);
        link.set_download(name);
        link.click();
        Url::revoke_object_url(&url)
    };
    offer().map_err(|error| words(&error))
}

/// Lets the user choose a file, and keeps it; where it is kept, or `None` where nothing was chosen.
///
/// # Errors
/// As [`keep`].
pub async fn upload(extensions: &[&str]) -> Result<Option<PathBuf>, String> {
    let input = document().and_then(|document| document.create_element("input").ok()?.dyn_into().ok());
    let Some(input): Option<HtmlInputElement> = input else { return Ok(None) };
    input.set_type("file");
    input.set_accept(&extensions.iter().map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(","));
    let chosen = Promise::new(&mut |resolve: Function, _| {
        let _ = input.add_event_listener_with_callback("change", &resolve);
        let _ = input.add_event_listener_with_callback("cancel", &resolve);
    });
    input.click();
    JsFuture::from(chosen).await.map_err(|error| words(&error))?;
    match input.files().and_then(|files| files.get(0)) {
        Some(file) => keep(file).await.map(Some),
        None => Ok(None),
    }
}

/// Forgets the files that a user gave to the page at an earlier visit.
pub fn forget_uploads() {
    let _ = files::remove_dir_all(Path::new(UPLOADS));
}

/// Keeps a file that the user gave; where it is kept.
///
/// # Errors
/// A sentence, where it is too large or cannot be read.
pub async fn keep(file: File) -> Result<PathBuf, String> {
    if file.size() > LARGEST {
        return Err(format!("{} is too large for a page", file.name()));
    }
    let buffer = JsFuture::from(file.array_buffer()).await.map_err(|error| words(&error))?;
    let path = Path::new(UPLOADS).join(Path::new(&file.name()).file_name().unwrap_or("file".as_ref()));
    files::write_atomic(&path, &Uint8Array::new(&buffer).to_vec()).map_err(|error| error.to_string())?;
    Ok(path)
}

/// The text of a file beside the page, of at most `limit` bytes.
///
/// # Errors
/// A sentence with what to do.
pub async fn text(address: &str, limit: usize) -> Result<String, String> {
    let window = web_sys::window().ok_or("there is no page")?;
    let failed = |why: String| format!("{address} could not be read: {why}");
    let response = JsFuture::from(window.fetch_with_str(address)).await.map_err(|error| failed(words(&error)))?;
    let response: web_sys::Response = response.dyn_into().map_err(|error| failed(words(&error)))?;
    if !response.ok() {
        return Err(failed(format!("the server answered {}", response.status())));
    }
    let text = response.text().map_err(|error| failed(words(&error)))?;
    let text = JsFuture::from(text).await.map_err(|error| failed(words(&error)))?.as_string().unwrap_or_default();
    if text.len() > limit { Err(failed(format!("it is longer than {limit} bytes"))) } else { Ok(text) }
}

/// What an exception of JavaScript says.
pub fn words(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{error:?}"), |error| String::from(error.message()))
}
