//! The question before a user is removed.

use contract::User;
use leptos::{prelude::*, task::spawn_local};

use super::{DialogHandle, dialog::Cancel, flag, text, user_dialog::Consequences};
use crate::{api, session::Session};

/// Names the question to the dialog around it, so that it is read out with the title.
pub(super) const QUESTION: &str = "question";

/// Asks, and removes `user`; lives in a dialog, which it closes.
#[component]
pub(crate) fn RemoveUser(user: User) -> impl IntoView {
    let session = expect_context::<Session>();
    let dialog = expect_context::<DialogHandle>();
    let consequences = Consequences::here();
    let busy = RwSignal::new(false);
    let problem = RwSignal::new(String::new());
    let User { id, username, .. } = user;
    let own = session.user_id() == Some(id);
    let question = if own {
        "Your account and everything in it will be gone for good, and you will be logged out."
            .to_owned()
    } else {
        format!("{username} will be gone for good.")
    };
    let remove = move |_| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        problem.set(String::new());
        spawn_local(async move {
            match api::remove_user(session, id).await {
                Ok(()) => {
                    dialog.close();
                    consequences.removed(id);
                }
                Err(error) => {
                    if problem.try_set(error.to_string()).is_some() {
                        // The dialog was closed meanwhile.
                        consequences.failed(&error);
                    }
                }
            }
            let _ = busy.try_set(false);
        });
    };
    view! {
        <p id=QUESTION>{question}</p>
        <p class="problem" role="alert" data-testid="form-problem">
            {text(move || problem.get())}
        </p>
        <div class="actions">
            <button
                type="button"
                class="danger"
                data-testid="confirm-remove"
                aria-disabled=flag(move || busy.get())
                on:click=remove
            >
                "Remove"
            </button>
            // A hasty Enter must not remove anybody.
            <Cancel autofocus=true />
        </div>
    }
}
