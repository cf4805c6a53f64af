//! The browser's origin private file system: where a page's files are kept from one visit to the next.
//!
//! The tree in memory is what counts; here its changes are stored one after the other, each file whole or not at all.
//! A file that changes while it waits is stored once. Whatever fails is told once, and the page goes on in memory.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use js_sys::{Function, IteratorNext, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions, FileSystemGetFileOptions,
    FileSystemHandle, FileSystemRemoveOptions, FileSystemWritableFileStream,
};

use super::Time;
use super::memory;
use super::tree::{Node, Tree};

/// All files lie in this folder: other pages of the same site may have theirs beside it.
const FOLDER: &str = "artune";
/// Milliseconds after which a page that was just left has surely let go of its files.
const PATIENCE: i32 = 500;

/// Where changes go.
enum Store {
    /// Nowhere yet; they wait.
    Unopened,
    /// Into this folder.
    Folder(FileSystemDirectoryHandle),
    /// Nowhere, for good.
    Absent,
}

struct State {
    store: Store,
    /// Whether changes are being stored now.
    busy: bool,
    /// What is called when all is stored.
    waiting: Vec<Function>,
    /// What went wrong first, until it is told.
    trouble: Option<String>,
    troubled: bool,
}

thread_local! {
    static STATE: RefCell<State> = const {
        RefCell::new(State { store: Store::Unopened, busy: false, waiting: vec![], trouble: None, troubled: false })
    };
}

/// Reads all that was stored into memory; from then on whatever changes is stored. To be awaited before the first use
/// of a file.
///
/// # Errors
/// A sentence for the person at the page, where files are kept in memory only; [`trouble`] tells it too.
pub async fn open() -> Result<(), String> {
    let opened = async {
        let folder = connect().await?;
        recall(&folder).await.map_err(|error| said(&error))?;
        if alone().await {
            Ok(folder)
        } else {
            Err("Artune is open in another tab, and only one tab can store files".to_string())
        }
    };
    let (store, result) = match opened.await {
        Ok(folder) => (Store::Folder(folder), Ok(())),
        Err(why) => (
            Store::Absent,
            Err(note(format!(
                "What this page makes is lost when it is closed: {why}. Download what you want to keep."
            ))),
        ),
    };
    STATE.with_borrow_mut(|state| state.store = store);
    wake();
    result
}

/// Waits until all that changed is stored, as far as it can be.
pub async fn flush() {
    if STATE.with_borrow(|state| state.busy) {
        let stored = Promise::new(&mut |resolve, _| STATE.with_borrow_mut(|state| state.waiting.push(resolve)));
        let _ = JsFuture::from(stored).await;
    }
}

/// The first thing that went wrong with storing, as a sentence for the person at the page; told once.
pub fn trouble() -> Option<String> {
    STATE.with_borrow_mut(|state| state.trouble.take())
}

/// Has stored what changed. Nothing happens before whoever calls has returned to the browser.
pub(super) fn wake() {
    let folder = STATE.with_borrow_mut(|state| match &state.store {
        Store::Folder(folder) if !state.busy && memory::with(|tree| tree.has_changed()) => {
            state.busy = true;
            Some(folder.clone())
        }
        Store::Absent => {
            memory::with(Tree::forget_changes);
            None
        }
        _ => None,
    });
    if let Some(folder) = folder {
        spawn_local(store_all(folder));
    }
}

async fn store_all(folder: FileSystemDirectoryHandle) {
    while let Some((path, node)) = memory::with(Tree::take_changed) {
        if let Err(error) = store(&folder, &path, node).await {
            note(format!(
                "{} could not be stored in the browser: {}. Artune goes on, but what it makes may be gone at the next \
                 visit; download what you want to keep.",
                path.display(),
                said(&error)
            ));
        }
    }
    let waiting = STATE.with_borrow_mut(|state| {
        state.busy = false;
        std::mem::take(&mut state.waiting)
    });
    for resolve in waiting {
        let _ = resolve.call0(&JsValue::UNDEFINED);
    }
}

/// Makes what is stored at `path` the same as `node`.
async fn store(root: &FileSystemDirectoryHandle, path: &Path, node: Option<Node>) -> Result<(), JsValue> {
    let names: Vec<String> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let Some((name, folders)) = names.split_last() else { return Ok(()) };
    let mut parent = root.clone();
    for name in folders {
        // What is gone is not to come back as a folder.
        let next = if node.is_some() { make_folder(&parent, name).await } else { find_folder(&parent, name).await };
        match next {
            Ok(next) => parent = next,
            Err(_) if node.is_none() => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    match node {
        None => remove(&parent, name).await,
        Some(Node::Folder) => make_folder(&parent, name).await.map(|_| ()),
        Some(Node::File { bytes, .. }) => {
            let file = make_file(&parent, name).await?;
            let stream: FileSystemWritableFileStream = JsFuture::from(file.create_writable()).await?.unchecked_into();
            // Copied: the browser reads it later, when the page's memory may have moved.
            let bytes = Uint8Array::from(bytes.as_ref());
            let written = async {
                JsFuture::from(stream.write_with_js_u8_array(&bytes)?).await?;
                JsFuture::from(stream.close()).await
            };
            if let Err(error) = written.await {
                let _ = JsFuture::from(stream.abort()).await;
                return Err(error);
            }
            Ok(())
        }
    }
}

async fn find_folder(parent: &FileSystemDirectoryHandle, name: &str) -> Result<FileSystemDirectoryHandle, JsValue> {
    Ok(JsFuture::from(parent.get_directory_handle(name)).await?.unchecked_into())
}

/// A folder, made where there is none; a file of its name is in its way.
async fn make_folder(parent: &FileSystemDirectoryHandle, name: &str) -> Result<FileSystemDirectoryHandle, JsValue> {
    let create = FileSystemGetDirectoryOptions::new();
    create.set_create(true);
    let make = || JsFuture::from(parent.get_directory_handle_with_options(name, &create));
    Ok(made(parent, name, make).await?.unchecked_into())
}

/// A file, made where there is none; a folder of its name is in its way.
async fn make_file(parent: &FileSystemDirectoryHandle, name: &str) -> Result<FileSystemFileHandle, JsValue> {
    let create = FileSystemGetFileOptions::new();
    create.set_create(true);
    let make = || JsFuture::from(parent.get_file_handle_with_options(name, &create));
    Ok(made(parent, name, make).await?.unchecked_into())
}

/// What `make` makes; whatever else of this name is in its way goes.
async fn made<T, F: Future<Output = Result<T, JsValue>>>(
    parent: &FileSystemDirectoryHandle,
    name: &str,
    make: impl Fn() -> F,
) -> Result<T, JsValue> {
    match make().await {
        Err(error) if is(&error, "TypeMismatchError") => {
            remove(parent, name).await?;
            make().await
        }
        made => made,
    }
}

/// Removes what there may be.
async fn remove(parent: &FileSystemDirectoryHandle, name: &str) -> Result<(), JsValue> {
    let all = FileSystemRemoveOptions::new();
    all.set_recursive(true);
    match JsFuture::from(parent.remove_entry_with_options(name, &all)).await {
        Err(error) if !is(&error, "NotFoundError") => Err(error),
        _ => Ok(()),
    }
}

/// Our folder, where the browser has such a thing and lets pages write into it.
async fn connect() -> Result<FileSystemDirectoryHandle, String> {
    let window = web_sys::window().ok_or("there is no browser window")?;
    let get = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).unwrap_or_default();
    let files = get(&get(&window, "FileSystemFileHandle"), "prototype");
    let storage = get(&window.navigator(), "storage");
    let has = |object: &JsValue, name: &str| object.is_object() && get(object, name).is_function();
    if !has(&storage, "getDirectory") || !has(&files, "createWritable") {
        return Err("this browser gives pages no files (a newer one does, over https)".into());
    }
    let root = JsFuture::from(window.navigator().storage().get_directory()).await.map_err(|error| said(&error))?;
    make_folder(&root.unchecked_into(), FOLDER).await.map_err(|error| said(&error))
}

/// Reads what is stored into the tree. A file that cannot be read is told and left out.
async fn recall(root: &FileSystemDirectoryHandle) -> Result<(), JsValue> {
    let mut folders = vec![(PathBuf::new(), root.clone())];
    while let Some((folder, handle)) = folders.pop() {
        let entries = handle.values();
        loop {
            let next: IteratorNext = JsFuture::from(entries.next()?).await?.unchecked_into();
            if next.done() {
                break;
            }
            let entry: FileSystemHandle = next.value().unchecked_into();
            let path = folder.join(entry.name());
            match entry.dyn_into::<FileSystemDirectoryHandle>() {
                Ok(inside) => {
                    let _ = memory::with(|tree| tree.restore(&path, Node::Folder));
                    folders.push((path, inside));
                }
                Err(file) => {
                    let read = read(file.unchecked_ref()).await.map_err(|error| said(&error));
                    let kept =
                        read.and_then(|file| memory::with(|tree| tree.restore(&path, file)).map_err(|e| e.to_string()));
                    if let Err(why) = kept {
                        note(format!("{} of an earlier visit cannot be read: {why}.", path.display()));
                    }
                }
            }
        }
    }
    Ok(())
}

async fn read(handle: &FileSystemFileHandle) -> Result<Node, JsValue> {
    let file: web_sys::File = JsFuture::from(handle.get_file()).await?.unchecked_into();
    let bytes = Uint8Array::new(&JsFuture::from(file.array_buffer()).await?).to_vec();
    Ok(Node::file(bytes, Time::UNIX_EPOCH + Duration::from_millis(file.last_modified() as u64)))
}

/// Whether no other tab stores files: two would write over each other's. Ours from then on, until the page is left.
async fn alone() -> bool {
    // A page that is loaded again may not have let go yet.
    claim().await || {
        pause(PATIENCE).await;
        claim().await
    }
}

/// Asks for the lock on the files. A browser without locks is believed to have one tab.
async fn claim() -> bool {
    let Some(window) = web_sys::window() else { return true };
    let locks = Reflect::get(&window.navigator(), &"locks".into()).unwrap_or_default();
    let Some(request) =
        Reflect::get(&locks, &"request".into()).ok().and_then(|request| request.dyn_into::<Function>().ok())
    else {
        return true;
    };
    let answer = Promise::new(&mut |resolve, _| {
        let answer = resolve.clone();
        let held = Closure::once_into_js(move |lock: JsValue| -> JsValue {
            let _ = answer.call1(&JsValue::UNDEFINED, &(!lock.is_null()).into());
            // Held for as long as what is returned is pending: for ever.
            if lock.is_null() { JsValue::UNDEFINED } else { Promise::new(&mut |_, _| {}).into() }
        });
        let options = Object::new();
        let _ = Reflect::set(&options, &"ifAvailable".into(), &true.into());
        if request.call3(&locks, &"artune-files".into(), &options, &held).is_err() {
            let _ = resolve.call1(&JsValue::UNDEFINED, &true.into());
        }
    });
    JsFuture::from(answer).await.is_ok_and(|free| free.is_truthy())
}

async fn pause(milliseconds: i32) {
    let over = Promise::new(&mut |resolve, _| {
        if let Some(window) = web_sys::window() {
            let _ = window.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
        }
    });
    let _ = JsFuture::from(over).await;
}

/// Remembers what went wrong, if it is the first; gives it back.
fn note(sentence: String) -> String {
    STATE.with_borrow_mut(|state| {
        if !std::mem::replace(&mut state.troubled, true) {
            state.trouble = Some(sentence.clone());
        }
    });
    sentence
}

fn is(error: &JsValue, name: &str) -> bool {
    error.dyn_ref::<js_sys::Error>().is_some_and(|error| error.name() == name)
}

/// The browser's words for an error, without the full stop.
fn said(error: &JsValue) -> String {
    let words = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    words.unwrap_or_else(|| format!("{error:?}")).trim_end_matches('.').to_owned()
}
