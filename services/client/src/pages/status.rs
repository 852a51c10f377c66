//! `/status`: the person's own account.

use contract::User;
use leptos::prelude::*;

use crate::{
    browser,
    components::{
        Avatar, Page, PasswordForm, SessionList, UserAction, UserDialog, fact, live, text,
    },
    session::Session,
};

#[component]
pub(crate) fn Status() -> impl IntoView {
    let session = expect_context::<Session>();
    let is_member = fact(move || session.user().is_some());
    view! {
        <Page title="User status">
            {live(move || {
                Some(if is_member.get() { Account().into_any() } else { waiting().into_any() })
            })}
        </Page>
    }
}

/// The account's place, until the API has said whose it is.
fn waiting() -> impl IntoView {
    view! {
        <p class="out-of-sight" role="status">
            "Loading your account…"
        </p>
        <div class="card skeleton" aria-hidden="true">
            <span class="bone"></span>
            <span class="bone"></span>
            <span class="bone"></span>
        </div>
    }
}

#[component]
fn Account() -> impl IntoView {
    let session = expect_context::<Session>();
    let of = move |read: fn(&User) -> String| {
        text(move || session.user().as_ref().map(read).unwrap_or_default())
    };
    let username = of(|user| user.username.clone());
    let email = of(|user| user.email.clone().unwrap_or_default());
    let joined = of(|user| browser::day(&user.created_date));
    let role =
        of(|user| if user.is_admin == Some(true) { "Administrator" } else { "User" }.to_owned());
    let action = RwSignal::new(None::<UserAction>);
    let open = move |dialog: fn(User) -> UserAction| {
        move |_| action.set(untrack(|| session.user()).map(dialog))
    };
    let sessions_version = RwSignal::new(0);
    view! {
        <section aria-labelledby="profile-title">
            <h2 id="profile-title">"Profile"</h2>
            <Avatar name=username />
            <dl data-testid="profile">
                <dt>"Username"</dt>
                <dd data-testid="profile-username">{username}</dd>
                <dt>"Email"</dt>
                <dd data-testid="profile-email">{email}</dd>
                <dt>"Role"</dt>
                <dd>{role}</dd>
                <dt>"Joined"</dt>
                <dd>{joined}</dd>
            </dl>
            <div class="actions">
                <button type="button" data-testid="edit" on:click=open(UserAction::edit)>
                    "Edit"
                </button>
                <button
                    type="button"
                    class="danger"
                    data-testid="remove"
                    on:click=open(UserAction::Remove)
                >
                    "Remove the account"
                </button>
            </div>
            <UserDialog action />
        </section>
        <section aria-labelledby="password-title">
            <h2 id="password-title">"Password"</h2>
            <div class="card">
                <PasswordForm
                    email
                    on_done=move |()| sessions_version.update(|version| *version += 1)
                />
            </div>
        </section>
        <section aria-labelledby="sessions-title">
            <h2 id="sessions-title">"Where you are logged in"</h2>
            <SessionList version=sessions_version />
        </section>
    }
}
