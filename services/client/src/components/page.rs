//! A page: its title, its heading, and where the person is on it when they come to it.

use leptos::{html, prelude::*};

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
        let position = match router.arrival() {
            Arrival::Loaded => return,
            Arrival::Followed => 0.0,
            Arrival::Returned => router.position(),
        };
        browser::focus(&heading);
        window().scroll_to_with_x_and_y(0.0, position);
    });
    view! {
        <h1 tabindex="-1" node_ref=heading>
            {title}
        </h1>
        {children()}
    }
}
