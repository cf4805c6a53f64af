//! Work that must not hold up the window: it is done apart from it, and its result is taken when it is there.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::task::Poll;

use eframe::egui::Context;

use crate::platform::task::{self, Portable};

/// A result that is still to come.
pub(super) struct Job<T>(Receiver<T>);

impl<T: Portable + 'static> Job<T> {
    /// Begins `work`; the window is drawn again when it is done.
    pub(super) fn start<F>(ctx: &Context, work: impl FnOnce() -> F + Portable + 'static) -> Self
    where
        F: Future<Output = T> + 'static,
    {
        let (sender, receiver) = channel();
        let ctx = ctx.clone();
        let end = move |result: Result<T, String>| {
            // Of work that panicked nothing is sent: that the sender is gone is heard below.
            result.into_iter().for_each(|result| drop(sender.send(result)));
            ctx.request_repaint();
        };
        drop(task::start("files", work, end));
        Self(receiver)
    }

    /// The result, once; `None` where the work has ended without one.
    pub(super) fn poll(&self) -> Poll<Option<T>> {
        match self.0.try_recv() {
            Ok(result) => Poll::Ready(Some(result)),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    fn wait<T: Send + 'static>(job: &Job<T>) -> Option<T> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Poll::Ready(result) = job.poll() {
                return result;
            }
            assert!(Instant::now() < deadline, "the job did not end");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_job_brings_its_result_and_one_that_breaks_off_brings_none() {
        let ctx = Context::default();
        assert_eq!(wait(&Job::start(&ctx, || async { 7 })), Some(7));
        let broken: Job<u32> = Job(channel().1);
        assert_eq!(wait(&broken), None);
    }
}
