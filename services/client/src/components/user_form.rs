//! The form that adds a user or changes one.

use contract::{NewUser, Password, UpdateUser, Username};
use leptos::prelude::*;

use super::{
    DialogHandle,
    dialog::Cancel,
    user_dialog::{Consequences, Draft, Interrupted},
};
use crate::{
    api,
    forms::{FormFrame, FormState, Kind, TextField},
    session::Session,
};

/// What the rule for user names says, before it is broken.
pub(crate) fn username_hint() -> String {
    format!("{} to {} letters, digits, “_”, “.” or “-”.", Username::MIN, Username::MAX)
}

/// What the rule for passwords says, before it is broken.
pub(crate) fn password_hint() -> String {
    format!(
        "At least {} characters. Three or four words that do not belong together make a good one.",
        Password::MIN
    )
}

/// Changes the user of `draft`, or adds one where there is none; lives in a dialog, which it closes.
#[component]
pub(crate) fn UserForm(draft: Draft) -> impl IntoView {
    let session = expect_context::<Session>();
    let dialog = expect_context::<DialogHandle>();
    let consequences = Consequences::here();
    let cancel = view! { <Cancel /> }.into_any();
    let user = draft.user.as_ref().map(|user| user.id);
    match user {
        None => {
            let form = FormState::new::<NewUser>(&["username", "email", "password"]);
            take_up(form, draft);
            let add = move |user: NewUser| async move {
                let user = api::add_user(session, &user).await?;
                dialog.close();
                consequences.added(user);
                Ok(())
            };
            view! {
                <FormFrame form testid="user-form" submit="Add" send=form.sender(add) aside=cancel>
                    <Identity form own=false />
                    <TextField
                        form
                        name="password"
                        label="Password"
                        kind=Kind::Password
                        autocomplete="new-password"
                        hint=password_hint()
                        strength=true
                    />
                </FormFrame>
            }
            .into_any()
        }
        Some(id) => {
            let form = FormState::new::<UpdateUser>(&["username", "email"]);
            take_up(form, draft);
            let own = session.user_id() == Some(id);
            let update = move |user: UpdateUser| async move {
                let user = api::update_user(session, id, &user).await?;
                dialog.close();
                consequences.changed(user);
                Ok(())
            };
            view! {
                <FormFrame form testid="user-form" submit="Save" send=form.sender(update) aside=cancel>
                    <Identity form own />
                </FormFrame>
            }
            .into_any()
        }
    }
}

/// Fills `form` with `draft`, and keeps what was typed should the session end before it is sent.
fn take_up(form: FormState, draft: Draft) {
    let session = expect_context::<Session>();
    let interrupted = expect_context::<Interrupted>();
    let author = session.user_id();
    let form = form.with("username", &draft.username).with("email", &draft.email);
    on_cleanup(move || {
        if let Some(author) = author
            && session.user_id() != Some(author)
        {
            let (username, email) = (form.text("username"), form.text("email"));
            interrupted.keep(author, Draft { username, email, ..draft });
        }
    });
}

/// Name and address. A browser may offer the person's `own` ones, and nobody else's.
#[component]
fn Identity(form: FormState, own: bool) -> impl IntoView {
    view! {
        <TextField
            form
            name="username"
            label="Username"
            kind=Kind::Text
            autocomplete=if own { "username" } else { "off" }
            hint=username_hint()
        />
        <TextField
            form
            name="email"
            label="Email"
            kind=Kind::Email
            autocomplete=if own { "email" } else { "off" }
        />
    }
}
