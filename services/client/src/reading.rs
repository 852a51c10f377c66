//! Reading what a page shows: one reading at a time, and again by itself once what hindered it may
//! have passed.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use crate::{
    api::{Error, Result},
    browser,
};

const FIRST_PAUSE: Duration = Duration::from_secs(3);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pauses before what has failed is tried again.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// Waits until what failed with `error` is worth another try, and somebody can see it.
    pub(crate) async fn pass(&mut self, error: &Error) {
        match error.retry_after() {
            Some(time) => browser::sleep(time.max(self.0)).await,
            None => browser::sleep_until_online(self.0).await,
        }
        self.0 = (2 * self.0).min(LONGEST_PAUSE);
        while !browser::is_visible() {
            browser::sleep(FIRST_PAUSE).await;
        }
    }
}

/// How the reading goes. A handle: copies are the same reading.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    /// Counts the readings: an answer to an earlier one comes too late.
    count: StoredValue<u32>,
    busy: RwSignal<bool>,
    problem: RwSignal<Option<String>>,
}

impl Reading {
    /// One that is about to begin.
    pub(crate) fn new() -> Self {
        Self { count: StoredValue::new(0), busy: RwSignal::new(true), problem: RwSignal::new(None) }
    }

    /// Whether the API is being asked; reactive.
    pub(crate) fn is_busy(self) -> bool {
        self.busy.get()
    }

    /// Why nothing could be read; reactive.
    pub(crate) fn problem(self) -> Option<String> {
        self.problem.get()
    }

    /// What is being read is no longer wanted.
    pub(crate) fn stop(self) {
        self.count.update_value(|count| *count = count.wrapping_add(1));
        self.busy.set(false);
        self.problem.set(None);
    }

    /// Reads with `ask`, in place of what is being read, until there is an answer or a failure that
    /// does not pass. `take` is given each answer; nothing for each failure.
    pub(crate) fn start<T, F>(
        self,
        ask: impl Fn() -> F + 'static,
        take: impl Fn(Option<T>) + 'static,
    ) where
        T: 'static,
        F: Future<Output = Result<T>> + 'static,
    {
        self.count.update_value(|count| *count = count.wrapping_add(1));
        let count = self.count.get_value();
        // The page that wants it may have gone, too.
        let is_wanted = move || self.count.try_get_value() == Some(count);
        self.busy.set(true);
        spawn_local(async move {
            let mut pauses = Pauses::new();
            loop {
                let answer = ask().await;
                if !is_wanted() {
                    return;
                }
                self.busy.set(false);
                let error = match answer {
                    Ok(answer) => {
                        self.problem.set(None);
                        return take(Some(answer));
                    }
                    Err(error) => error,
                };
                self.problem.set(Some(error.to_string()));
                take(None);
                if !error.is_temporary() {
                    return;
                }
                pauses.pass(&error).await;
                if !is_wanted() {
                    return;
                }
                self.busy.set(true);
            }
        });
    }
}
