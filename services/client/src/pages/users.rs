//! `/`: the users, and what the person may do to them.

use contract::Username;
use leptos::{ev, prelude::*, task::spawn_local};

use super::UserList;
use crate::{
    browser,
    components::{Page, UserAction, UserDialog, UserTable, fact, follow, live},
    router::{Arrival, Router},
    session::{Identity, Session},
};

/// How long the person must have stopped typing before the list is asked.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(250);

#[component]
pub(crate) fn Users() -> impl IntoView {
    let session = expect_context::<Session>();
    let router = expect_context::<Router>();
    let list = expect_context::<UserList>();
    let action = RwSignal::new(None::<UserAction>);

    // What of a user is shown depends on who asks.
    let reader = Memo::new(move |_| match session.identity() {
        Identity::Restoring => None,
        Identity::Guest => Some(None),
        Identity::SignedIn(user) => Some(Some((user.id, user.is_admin))),
    });
    let mut before = None;
    follow(move || {
        let (prefix, reader) = (router.query("q").unwrap_or_default(), reader.get());
        if untrack(|| router.path()) != "/" {
            // The query is already another page's.
            return;
        }
        let is_first = before.is_none();
        let is_another = before.replace(reader) != Some(reader);
        match reader {
            // Who comes back finds the list as they left it.
            Some(reader) if is_another => {
                list.show(&prefix, reader, is_first && router.arrival() == Arrival::Returned);
            }
            Some(_) => list.narrow(&prefix),
            None => {}
        }
    });

    let is_admin = fact(move || session.user().is_some_and(|user| user.is_admin == Some(true)));

    view! {
        <Page title="Users">
            <div class="tools">
                <Search />
                {live(move || is_admin.get().then(|| add_button(action)))}
            </div>
            <UserTable list action />
            <UserDialog action />
        </Page>
    }
}

fn add_button(action: RwSignal<Option<UserAction>>) -> AnyView {
    view! {
        <button
            type="button"
            class="primary"
            data-testid="add-user"
            on:click=move |_| action.set(Some(UserAction::add()))
        >
            "Add a user"
        </button>
    }
    .into_any()
}

/// Narrows the list to the names that begin as typed. The address follows, so that a reload or a
/// link shows the same.
#[component]
fn Search() -> impl IntoView {
    let router = expect_context::<Router>();
    let text = RwSignal::new(String::new());
    follow(move || {
        let wanted = router.query("q").unwrap_or_default();
        if text.with_untracked(|text| text.trim() != wanted) {
            text.set(wanted);
        }
    });
    let typed = StoredValue::new(0_u32);
    let look = move || {
        let wanted = text.get_untracked().trim().to_owned();
        router.rename(&if wanted.is_empty() {
            "/".to_owned()
        } else {
            format!("/?q={}", js_sys::encode_uri_component(&wanted))
        });
    };
    let on_input = move |event: ev::Event| {
        text.set(event_target_value(&event));
        typed.update_value(|typed| *typed = typed.wrapping_add(1));
        let now = typed.get_value();
        spawn_local(async move {
            browser::sleep(PAUSE).await;
            if typed.try_get_value() == Some(now) {
                look();
            }
        });
    };
    view! {
        <form
            role="search"
            on:submit=move |event| {
                event.prevent_default();
                look();
            }
        >
            <label class="out-of-sight" for="search">
                "Search by the beginning of the name"
            </label>
            <input
                id="search"
                type="search"
                placeholder="Search by name"
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                maxlength=Username::MAX.to_string()
                prop:value=text
                on:input=on_input
            />
        </form>
    }
}
