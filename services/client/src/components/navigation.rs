//! The navigation, which follows the sign-in.

use leptos::prelude::*;

use super::{SignOut, live, text, word};
use crate::{
    router::Router,
    session::{Identity, Session},
};

#[component]
pub(crate) fn Navigation() -> impl IntoView {
    let session = expect_context::<Session>();
    let router = expect_context::<Router>();
    // The name may change without the links having to.
    let state = Memo::new(move |_| match session.identity() {
        Identity::Restoring => None,
        Identity::Guest => Some(false),
        Identity::SignedIn(_) => Some(true),
    });
    let account = live(move || match state.get() {
        None => None,
        Some(false) => Some(
            [
                link("/register", "Register", "nav-register"),
                link_to("/login", text(move || router.sign_in()), "Log in", "nav-login"),
            ]
            .into_any(),
        ),
        Some(true) => Some(
            view! {
                {link("/status", "User status", "nav-status")}
                <li>
                    <SignOut label="Log out" testid="nav-logout" />
                </li>
            }
            .into_any(),
        ),
    });
    view! {
        <nav aria-label="Main">
            <ul>
                {[link("/", "Users", "nav-users"), link("/about", "About", "nav-about")]}
            </ul>
            <ul>{account}</ul>
        </nav>
    }
}

fn link(path: &'static str, label: &'static str, testid: &'static str) -> AnyView {
    link_to(path, Signal::stored(path.to_owned()), label, testid)
}

/// A link to the page at `path`, by a longer address.
fn link_to(
    path: &'static str,
    address: Signal<String>,
    label: &'static str,
    testid: &'static str,
) -> AnyView {
    let router = expect_context::<Router>();
    // `false` is the same as no attribute.
    let current = word(move || if router.path() == path { "page" } else { "false" });
    view! {
        <li>
            <a href=address aria-current=current data-testid=testid>
                {label}
            </a>
        </li>
    }
    .into_any()
}
