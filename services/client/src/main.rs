//! The web client of the users API: pages that are rendered in the browser.
//!
//! | Module | What lives there |
//! |---|---|
//! | [`app`] | the frame around every page, the routes, who may see which page |
//! | [`pages`] | one file a page |
//! | [`components`] | what pages are made of: navigation, dialogs, rows, lists |
//! | [`forms`] | a form's state and its fields; the rules come from `contract` |
//! | [`session`] | who is signed in: tokens, refresh, what tabs tell each other |
//! | [`api`] | the API's operations as typed calls, and the one error type |
//! | [`reading`] | reading what a page shows, again and again where need be |
//! | [`messages`] | what the page says to the person ("User added.") |
//! | [`router`] | which page the address names, and how people get from one to another |
//! | [`browser`] | the little that is needed of the browser itself |
//!
//! The page's own files are `index.html` (a shell that is painted before this
//! program has loaded) and `styles.css`.
//!
//! `API_SERVICE_URL`, at build time, is the API's origin (`https://api.example.com`);
//! unset or empty, the API answers at the page's own origin.
//!
//! # Hooks for tests
//!
//! Inputs have the ids `username`, `email`, `password`, `current_password` and
//! `new_password`; an input's error is `#<id>-error`, its hint `#<id>-hint`. No two
//! inputs of one id are ever on the page together. Elsewhere, `data-testid`:
//!
//! | Where | `data-testid` |
//! |---|---|
//! | the page's message | `message` (in the region `messages`), `dismiss` |
//! | the device has no network | `offline` |
//! | navigation | `nav-users`, `nav-about`, `nav-register`, `nav-login`, `nav-status`, `nav-logout` |
//! | forms | `register-form`, `login-form`, `password-form`, `user-form`; in each `submit` and `form-problem` |
//! | `/` | the input `search`; `users`, a row `user-<id>` with `edit` and `remove`; `add-user`, `load-more`, `users-count`, `users-problem`, `try-again` |
//! | dialogs | `dialog`; in it `cancel`, and `confirm-remove` to remove a user |
//! | `/status` | `profile` with `profile-username`, `profile-email`; `edit`, `remove`; `sessions`, a row `session-<id>` with `end-session`; `sessions-problem`, `try-again`; `end-others`, `logout-everywhere` |
//! | 404 | `not-found` |

#![expect(unreachable_pub, reason = "`#[component]` makes every component's function public")]

mod api;
mod app;
mod browser;
mod components;
mod forms;
mod messages;
mod pages;
mod reading;
mod router;
mod session;

fn main() {
    // A fault of this program: the page says so, and offers to begin anew.
    std::panic::set_hook(Box::new(|fault| {
        web_sys::console::error_1(&fault.to_string().into());
        browser::show_failure();
    }));
    browser::guard_second_clicks();
    if let Some(root) = browser::root() {
        // The static shell has done its work.
        root.set_text_content(None);
        leptos::mount::mount_to(root, app::App).forget();
    }
}
