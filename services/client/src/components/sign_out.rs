//! The button that signs out.

use leptos::{prelude::*, task::spawn_local};

use super::flag;
use crate::{
    browser,
    messages::{Kind, Messages},
    session::Session,
};

/// Signs out here, or `everywhere`.
#[component]
pub(crate) fn SignOut(
    label: &'static str,
    testid: &'static str,
    #[prop(optional)] everywhere: bool,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let messages = expect_context::<Messages>();
    let busy = RwSignal::new(false);
    let sign_out = move |_| {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        spawn_local(async move {
            match session.sign_out(everywhere).await {
                // The button goes.
                Ok(()) => browser::bequeath_focus(|| None),
                Err(error) => {
                    messages.say(Kind::Failure, format!("You are still logged in. {error}"));
                }
            }
            let _ = busy.try_set(false);
        });
    };
    view! {
        <button
            type="button"
            data-testid=testid
            aria-disabled=flag(move || busy.get())
            on:click=sign_out
        >
            {label}
        </button>
    }
}
