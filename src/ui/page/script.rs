//! `window.artune`: what the page shows, and commands to it, for scripts of a teacher and for tests.

use eframe::WebRunner;
use js_sys::{Function, Object, Reflect};
use wasm_bindgen::prelude::*;

use crate::session::Command;
use crate::ui::window::Window;

/// Offers `artune.status()`, which gives JSON, and `artune.send(json)`, which takes a [`Command`] such as `"Run"` or
/// `{"Set":{"name":"beta","value":"0.5"}}` and says what was wrong with it.
pub(super) fn offer(runner: &WebRunner) {
    let looker = runner.clone();
    let status = Closure::<dyn Fn() -> String>::new(move || {
        let status = looker.app_mut::<Window>().map(|mut window| {
            // In a hidden tab no frame does it.
            window.listen();
            let context = window.context.clone();
            let mut status = window.app.status(&context);
            status["renderer"] = if window.renderer.is_some() { "webgpu" } else { "webgl" }.into();
            status
        });
        status.unwrap_or_else(|| serde_json::json!({ "state": "loading" })).to_string()
    });
    let sender = runner.clone();
    let send = Closure::<dyn Fn(String) -> Option<String>>::new(move |text: String| {
        let command: Command = match serde_json::from_str(&text) {
            Ok(command) => command,
            Err(error) => return Some(error.to_string()),
        };
        let window = sender.app_mut::<Window>()?;
        window.session.iter().for_each(|session| session.send(command.clone()));
        None
    });
    let artune = Object::new();
    let set = |name: &str, function: &Function| drop(Reflect::set(&artune, &name.into(), function));
    set("status", status.as_ref().unchecked_ref());
    set("send", send.as_ref().unchecked_ref());
    if let Some(window) = web_sys::window() {
        let _ = Reflect::set(&window, &"artune".into(), &artune);
    }
    // Both are called as long as the page is there.
    status.forget();
    send.forget();
}
