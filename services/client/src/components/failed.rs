//! What could not be read, and another try.

use leptos::prelude::*;

use super::{flag, live};
use crate::reading::Reading;

/// Says why `reading` has failed, if it has, with a button to `try_again`.
pub(crate) fn failed(
    reading: Reading,
    testid: &'static str,
    try_again: impl Fn() + Send + Sync + 'static,
) -> AnyView {
    let try_again = Callback::new(move |()| try_again());
    // The same answer once more is nothing to read out again.
    let problem = Memo::new(move |_| reading.problem());
    let failed = live(move || {
        let problem = problem.get()?;
        let try_again = move |_| {
            if !untrack(|| reading.is_busy()) {
                try_again.run(());
            }
        };
        let failed = view! {
            <p>{problem}</p>
            <button
                type="button"
                data-testid="try-again"
                aria-disabled=flag(move || reading.is_busy())
                on:click=try_again
            >
                "Try again"
            </button>
        };
        Some(failed.into_any())
    });
    view! {
        <div class="failed" role="alert" data-testid=testid>
            {failed}
        </div>
    }
    .into_any()
}
