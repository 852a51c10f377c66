//! A modal dialog: the browser's own, which keeps the focus inside and closes on Escape.

use leptos::{html, prelude::*};

/// The dialog around a component.
#[derive(Clone, Copy)]
pub(crate) struct DialogHandle(NodeRef<html::Dialog>);

impl DialogHandle {
    /// Closes it; the focus returns to where it was before.
    pub(crate) fn close(self) {
        // Gone already when the person pressed Escape meanwhile.
        if let Some(dialog) = self.0.try_get_untracked().flatten() {
            dialog.close();
        }
    }
}

/// A dialog that is open from the start, until `on_close`.
#[component]
pub(crate) fn Dialog(
    title: String,
    /// What of it is read out with the title.
    #[prop(optional)]
    described_by: Option<&'static str>,
    #[prop(into)] on_close: Callback<()>,
    children: Children,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    provide_context(DialogHandle(dialog));
    dialog.on_load(|dialog| {
        // Fails only where it is open already, and it has just been made.
        let _ = dialog.show_modal();
    });
    let closed = move |_| {
        // It is told later: by now it may be open again, or gone with its page.
        if dialog.try_get_untracked().flatten().is_none_or(|dialog| !dialog.open()) {
            let _ = on_close.try_run(());
        }
    };
    view! {
        <dialog
            node_ref=dialog
            aria-labelledby="dialog-title"
            aria-describedby=described_by
            data-testid="dialog"
            on:close=closed
        >
            <h2 id="dialog-title">{title}</h2>
            {children()}
        </dialog>
    }
}

/// The button that closes the dialog and does nothing.
#[component]
pub(crate) fn Cancel(#[prop(optional)] autofocus: bool) -> impl IntoView {
    let dialog = expect_context::<DialogHandle>();
    view! {
        <button
            type="button"
            data-testid="cancel"
            autofocus=autofocus
            on:click=move |_| dialog.close()
        >
            "Cancel"
        </button>
    }
}
