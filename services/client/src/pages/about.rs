//! `/about`: what this is.

use contract::paths;
use leptos::prelude::*;

use crate::{api::BASE_URL, components::Page};

#[component]
pub(crate) fn About() -> impl IntoView {
    let doc = format!("{}{}", BASE_URL.trim_end_matches('/'), paths::DOC);
    view! {
        <Page title="About">
            <div class="prose">
                <p>
                    "This application keeps a list of users. Anyone can read it and register; "
                    "those who have registered can change or remove their own account, and "
                    "administrators everyone’s."
                </p>
                <p>
                    "The page you are looking at is written in Rust and runs in your browser as "
                    "WebAssembly. It talks to an API that is written in Rust, too, and both share "
                    "the rules for what may be typed in a form."
                </p>
                <p>
                    // Not a page of this client: the browser itself has to go there.
                    <a href=doc rel="external">
                        "The API’s documentation"
                    </a>
                    " describes every operation and lets you try it."
                </p>
            </div>
        </Page>
    }
}
