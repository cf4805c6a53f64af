//! Work, waiting and taking turns: the same words for a program with threads, and for the one thread of a page, where
//! whoever works long without a pause freezes the tab.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

pub use here::Work;
pub use here::is_hidden;
#[cfg(target_family = "wasm")]
pub use here::sleep;

/// What may go to where work is done: to another thread, or on a page anything.
#[cfg(not(target_family = "wasm"))]
pub trait Portable: Send {}
#[cfg(not(target_family = "wasm"))]
impl<T: Send> Portable for T {}

/// What may go to where work is done: to another thread, or on a page anything.
#[cfg(target_family = "wasm")]
pub trait Portable {}
#[cfg(target_family = "wasm")]
impl<T> Portable for T {}

/// Begins work of its own: on a thread, or by and by between whatever else a page does. `end` takes its result, or what
/// it said where it panicked.
pub fn start<T, F>(
    name: &str,
    work: impl FnOnce() -> F + Portable + 'static,
    end: impl FnOnce(Result<T, String>) + Portable + 'static,
) -> Work
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    here::start(name, work, end)
}

/// The next message, waited for as long as `patience`.
///
/// # Errors
/// As [`Receiver::recv_timeout`].
pub async fn next<T>(inbox: &Receiver<T>, patience: Duration) -> Result<T, RecvTimeoutError> {
    here::next(inbox, patience).await
}

/// Lets others have their turn, if it has been long since they last had one. Costs nothing where work has a thread of its
/// own.
pub async fn breathe() {
    here::breathe().await;
}

#[cfg(not(target_family = "wasm"))]
mod here {
    use std::any::Any;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread::{Builder, JoinHandle};

    use super::*;

    /// Deep graphs of tensors need stack.
    const STACK: usize = 32 << 20;

    /// Work that was begun.
    #[derive(Debug)]
    pub struct Work(Option<JoinHandle<()>>);

    impl Work {
        /// Whether it has ended.
        pub fn is_finished(&self) -> bool {
            self.0.as_ref().is_none_or(JoinHandle::is_finished)
        }

        /// Waits until it has ended; on a page, where nobody may wait, it goes on by itself.
        pub fn wait(self) {
            let _ = self.0.map(JoinHandle::join);
        }
    }

    pub(super) fn start<T: 'static, F: Future<Output = T> + 'static>(
        name: &str,
        work: impl FnOnce() -> F + Portable + 'static,
        end: impl FnOnce(Result<T, String>) + Portable + 'static,
    ) -> Work {
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| pollster::block_on(work())));
            end(result.map_err(|panic| words(&*panic)));
        };
        Work(Builder::new().name(name.into()).stack_size(STACK).spawn(body).ok())
    }

    /// What a panic said.
    fn words(panic: &(dyn Any + Send)) -> String {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_string()
    }

    pub(super) async fn next<T>(inbox: &Receiver<T>, patience: Duration) -> Result<T, RecvTimeoutError> {
        inbox.recv_timeout(patience)
    }

    pub(super) async fn breathe() {}

    /// Whether nobody can see the program, so that it had better not take the machine's time. Windows are never asked.
    pub fn is_hidden() -> bool {
        false
    }
}

#[cfg(target_family = "wasm")]
mod here {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::TryRecvError;

    use js_sys::{Function, Promise, Reflect};
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::{JsFuture, spawn_local};
    use web_sys::MessageChannel;
    use web_time::Instant;

    use super::*;

    /// The longest that work goes on without a pause, in seconds: less than a frame.
    const TURN: f64 = 0.012;
    /// How often an empty inbox is looked into, in seconds: a page has nothing to wake a sleeper with.
    const LOOK: f64 = 0.02;

    /// Work that was begun.
    #[derive(Debug)]
    pub struct Work(Arc<AtomicBool>);

    impl Work {
        /// Whether it has ended.
        pub fn is_finished(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }

        /// Waits until it has ended; on a page, where nobody may wait, it goes on by itself.
        pub fn wait(self) {}
    }

    pub(super) fn start<T: 'static, F: Future<Output = T> + 'static>(
        _name: &str,
        work: impl FnOnce() -> F + Portable + 'static,
        end: impl FnOnce(Result<T, String>) + Portable + 'static,
    ) -> Work {
        let finished = Arc::new(AtomicBool::new(false));
        let handle = Work(finished.clone());
        spawn_local(async move {
            // A panic ends the whole page: see its panic hook.
            end(Ok(work().await));
            finished.store(true, Ordering::Relaxed);
        });
        handle
    }

    /// Whether nobody can see the program, so that it had better not take the machine's time: its tab is in the back.
    pub fn is_hidden() -> bool {
        web_sys::window().and_then(|window| window.document()).is_some_and(|document| document.hidden())
    }

    /// Waits so many seconds.
    pub async fn sleep(seconds: f64) {
        let promise = Promise::new(&mut |resolve: Function, _| {
            let set = Reflect::get(&js_sys::global(), &JsValue::from_str("setTimeout")).ok();
            let Some(set) = set.and_then(|set| set.dyn_into::<Function>().ok()) else { return };
            let _ = set.call2(&JsValue::UNDEFINED, &resolve, &JsValue::from_f64(seconds * 1000.0));
        });
        let _ = JsFuture::from(promise).await;
    }

    pub(super) async fn next<T>(inbox: &Receiver<T>, patience: Duration) -> Result<T, RecvTimeoutError> {
        let begun = Instant::now();
        loop {
            match inbox.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {
                    let left = patience.saturating_sub(begun.elapsed()).as_secs_f64();
                    if left <= 0.0 {
                        return Err(RecvTimeoutError::Timeout);
                    }
                    sleep(left.min(LOOK)).await;
                }
            }
        }
    }

    pub(super) async fn breathe() {
        thread_local!(static SINCE: Cell<Option<Instant>> = const { Cell::new(None) });
        if SINCE.get().is_some_and(|since| since.elapsed().as_secs_f64() < TURN) {
            return;
        }
        // A message to oneself comes back after what else is due. (A timer would wait 4 ms, and a second in the back.)
        let Ok(channel) = MessageChannel::new() else { return };
        let promise = Promise::new(&mut |resolve: Function, _| {
            channel.port1().set_onmessage(Some(&resolve));
            let _ = channel.port2().post_message(&JsValue::NULL);
        });
        let _ = JsFuture::from(promise).await;
        // Ports that are open hold each other.
        channel.port1().close();
        channel.port2().close();
        SINCE.set(Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_ends_with_its_result_or_with_what_its_panic_said() {
        let (sender, results) = channel();
        let said = sender.clone();
        start("good", || async { 7 }, move |result| sender.send(result).expect("heard")).wait();
        start("bad", || async { panic!("oh {}", 1) }, move |result| said.send(result).expect("heard")).wait();
        assert_eq!(results.iter().collect::<Vec<_>>(), [Ok(7), Err("oh 1".to_string())]);
    }
}
