//! The `<form>` around the fields, with its button and what went wrong as a whole.

use leptos::{ev, prelude::*};

use super::FormState;
use crate::components::{flag, text, word};

/// A form that `send` sends; see [`FormState::sender`].
#[component]
pub(crate) fn FormFrame(
    form: FormState,
    testid: &'static str,
    /// What the button says.
    submit: &'static str,
    send: Callback<()>,
    /// More buttons.
    #[prop(optional)]
    aside: Option<AnyView>,
    children: Children,
) -> impl IntoView {
    let on_submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        send.run(());
    };
    view! {
        // Our own messages in place of the browser's: they say more.
        <form
            novalidate
            data-testid=testid
            aria-busy=flag(move || form.busy.get())
            on:submit=on_submit
        >
            {children()}
            <p class="problem" role="alert" data-testid="form-problem">
                {text(move || form.problem.get().unwrap_or_default())}
            </p>
            <div class="actions">
                // Not `disabled`: that would take the focus away. `FormState::send` guards.
                <button
                    type="submit"
                    class="primary"
                    data-testid="submit"
                    aria-disabled=flag(move || form.busy.get())
                >
                    {word(move || if form.busy.get() { "One moment…" } else { submit })}
                </button>
                {aside}
            </div>
        </form>
    }
}
