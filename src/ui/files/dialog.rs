//! Asking for a file: by the system's own dialogs, or on a page by what the browser has in their place.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use eframe::egui::DroppedFile;

use super::Ask;

/// Where the file is, `None` where the user wants none, or why nobody could be asked.
pub(super) type Chosen = Result<Option<PathBuf>, String>;

#[cfg(not(target_family = "wasm"))]
pub(super) type Answer = Pin<Box<dyn Future<Output = Chosen> + Send>>;
#[cfg(target_family = "wasm")]
pub(super) type Answer = Pin<Box<dyn Future<Output = Chosen>>>;

/// What may be opened.
const OPENED: [&str; 8] = ["safetensors", "toml", "jsonl", "pt", "pth", "ckpt", "bin", "npz"];

#[cfg(not(target_family = "wasm"))]
mod here {
    use super::*;
    use crate::platform::clock::Stopwatch;
    use crate::ui::text::desktop as text;

    /// Nobody chooses or cancels sooner than this, in seconds: the system has no dialog.
    const SOONEST: f64 = 0.4;

    /// The system's own dialog. It must be made here and may be waited for anywhere.
    pub(in super::super) fn ask(ask: &Ask) -> Answer {
        let dialog = rfd::AsyncFileDialog::new();
        let clock = Stopwatch::start();
        let path = move |file: Option<rfd::FileHandle>| match file {
            Some(file) => Ok(Some(file.path().to_owned())),
            None if clock.seconds() < SOONEST => Err(text::NO_DIALOG.into()),
            None => Ok(None),
        };
        match ask {
            Ask::Folder => {
                let answer = dialog.pick_folder();
                Box::pin(async move { path(answer.await) })
            }
            Ask::File => {
                let answer = dialog.add_filter("Artune", &OPENED).pick_file();
                Box::pin(async move { path(answer.await) })
            }
            Ask::Save { name, extension } => {
                let dialog = dialog.set_file_name(format!("{name}.{extension}"));
                let answer = dialog.add_filter(extension.to_uppercase(), &[extension]).save_file();
                Box::pin(async move { path(answer.await) })
            }
        }
    }

    /// A file has been written, and lies where the user wanted it.
    pub(in super::super) fn written(_path: &Path) -> Result<(), String> {
        Ok(())
    }

    /// Where a file is that was dropped on the window.
    pub(in super::super) async fn arrived(file: &dyn DroppedFile) -> Result<PathBuf, String> {
        Ok(file.path().to_owned())
    }
}

#[cfg(target_family = "wasm")]
mod here {
    use super::*;
    use crate::platform::{files, page};
    use crate::ui::text::page as text;

    /// Where files are made before they are offered as a download.
    const DOWNLOADS: &str = "downloads";

    /// A file is chosen from the user's disk; a folder is the run that this browser kept last; and what is to be saved
    /// is made here and then offered as a download.
    pub(in super::super) fn ask(ask: &Ask) -> Answer {
        match ask {
            Ask::Folder => {
                Box::pin(async { crate::ui::page::last_run().map(Some).ok_or_else(|| text::NOTHING_KEPT.to_string()) })
            }
            Ask::File => Box::pin(async { page::upload(&OPENED).await }),
            Ask::Save { name, extension } => {
                let path = Path::new(DOWNLOADS).join(format!("{name}.{extension}"));
                Box::pin(async move { Ok(Some(path)) })
            }
        }
    }

    /// Offers a file that has been made as a download, and forgets it.
    pub(in super::super) fn written(path: &Path) -> Result<(), String> {
        let bytes = files::read(path).map_err(|error| error.to_string())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        page::download(&name, &bytes)?;
        files::remove_file(path).map_err(|error| error.to_string())
    }

    /// Keeps a file that was dropped on the page; where it is kept.
    pub(in super::super) async fn arrived(file: &dyn DroppedFile) -> Result<PathBuf, String> {
        match file.web_file() {
            Some(file) => page::keep(file.clone()).await,
            None => Err(text::NO_FILE.into()),
        }
    }
}

pub(super) use here::{arrived, ask, written};
