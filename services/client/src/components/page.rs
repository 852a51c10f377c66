//! A page: its title, its heading, and where the person is on it when they come to it.

use leptos::{html, prelude::*, task::spawn_local};

use crate::{
    browser,
    router::{Arrival, Router},
};

/// A page called `title`.
///
/// A browser moves the focus, reads the title and scrolls when it loads a document. Pages that
/// change within one must do so themselves, or screen readers stay silent and the keyboard stays
/// where the old page was.
#[component]
pub(crate) fn Page(title: &'static str, children: Children) -> impl IntoView {
    let router = expect_context::<Router>();
    let heading = NodeRef::<html::H1>::new();
    browser::set_title(title);
    heading.on_load(move |heading| {
        let arrival = router.arrival();
        if arrival == Arrival::Loaded {
            return;
        }
        // The same element may have had the focus on the page before: it would not be read out.
        // Fails only where the element cannot have the focus.
        let _ = heading.blur();
        browser::focus(&heading);
        if arrival == Arrival::Returned {
            spawn_local(router.scroll_back());
        } else {
            window().scroll_to_with_x_and_y(0.0, 0.0);
        }
    });
    view! {
        <h1 tabindex="-1" node_ref=heading>
            {title}
        </h1>
        {children()}
    }
}
