//! Any other address.

use leptos::prelude::*;

use crate::components::Page;

#[component]
pub(crate) fn NotFound() -> impl IntoView {
    view! {
        <Page title="Page not found">
            <div class="prose" data-testid="not-found">
                <p>"There is no page at this address. It may have been mistyped."</p>
                <p>
                    <a href="/">"Go to the users"</a>
                </p>
            </div>
        </Page>
    }
}
