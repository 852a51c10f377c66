//! The frame around every page, the routes, and who may see which page.

use leptos::prelude::*;

use crate::{
    browser,
    components::{Interrupted, Navigation, follow, live, word},
    messages::{MessageRegion, Messages},
    pages::{About, Login, NewcomersEmail, NotFound, Register, Status, UserList, Users},
    router::{GUESTS_ONLY, Router},
    session::{Identity, Session},
};

/// The pages for those who are signed in.
const MEMBERS_ONLY: [&str; 1] = ["/status"];

#[component]
pub(crate) fn App() -> impl IntoView {
    let messages = Messages::new();
    let router = Router::start();
    let session = Session::start(messages);
    provide_context(messages);
    provide_context(router);
    provide_context(session);
    provide_context(NewcomersEmail::new());
    provide_context(Interrupted::new());
    // It outlives its page, which so comes back as it was left.
    provide_context(UserList::new(session));
    keep_the_door(router, session, messages);

    let online = browser::online();
    // Not reactive to more than the path: a page reads the query itself.
    let page = live(move || {
        Some(match router.path().as_str() {
            "/" => Users().into_any(),
            "/about" => About().into_any(),
            "/register" => Register().into_any(),
            "/login" => Login().into_any(),
            "/status" => Status().into_any(),
            _ => NotFound().into_any(),
        })
    });
    view! {
        <a class="skip" href="#main">
            "Skip to the content"
        </a>
        <header class="bar">
            <Navigation />
        </header>
        <div class="offline" role="status" data-testid="offline">
            {word(move || {
                if !online.get() {
                    "You are offline. What you see may be out of date; what you type stays."
                } else if session.is_waiting_for_the_api() {
                    "The service is not available now. You will be logged back in as soon as it is."
                } else {
                    ""
                }
            })}
        </div>
        <main id="main" tabindex="-1">
            {page}
        </main>
        <MessageRegion />
    }
}

/// Leads people from pages that are not for them to one that is.
fn keep_the_door(router: Router, session: Session, messages: Messages) {
    let mut previous = untrack(|| router.path());
    follow(move || {
        let path = router.path();
        if previous != path {
            messages.page_changed();
        }
        previous = path;
    });

    follow(move || {
        let path = router.path();
        let ended = session.has_ended();
        let target = match session.identity() {
            Identity::Guest if MEMBERS_ONLY.contains(&path.as_str()) || ended => {
                if GUESTS_ONLY.contains(&path.as_str()) {
                    session.end_is_noticed();
                    return;
                }
                untrack(|| router.sign_in())
            }
            Identity::SignedIn(_) if GUESTS_ONLY.contains(&path.as_str()) => {
                untrack(|| router.query("next")).and_then(next_page).unwrap_or_else(|| "/".into())
            }
            Identity::Restoring | Identity::Guest | Identity::SignedIn(_) => return,
        };
        if ended {
            session.end_is_noticed();
        }
        router.go_instead(&target);
    });
}

/// Where to go after signing in: only to a page of ours, whatever the address says.
fn next_page(wish: String) -> Option<String> {
    let (path, _) = wish.split_once('?').unwrap_or((&wish, ""));
    let is_ours = contract::paths::PAGES.contains(&path) && !GUESTS_ONLY.contains(&path);
    is_ours.then_some(wish)
}

#[cfg(test)]
mod tests {
    use super::next_page;

    #[test]
    fn signing_in_leads_to_our_own_pages_only() {
        for wish in ["/", "/status", "/?q=bob"] {
            assert_eq!(next_page(wish.to_owned()).as_deref(), Some(wish));
        }
        for wish in ["/login", "/login?next=/", "//evil.example", "https://evil.example", "?q=bob"]
        {
            assert_eq!(next_page(wish.to_owned()), None, "{wish}");
        }
    }
}
