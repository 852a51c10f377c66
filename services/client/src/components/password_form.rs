//! The form that changes the person's own password.

use contract::ChangePassword;
use leptos::prelude::*;

use super::user_form::password_hint;
use crate::{
    api,
    forms::{FormFrame, FormState, Kind, TextField},
    messages::{self, Messages},
    session::Session,
};

/// Changes the password of the user whose address is `email`.
#[component]
pub(crate) fn PasswordForm(
    #[prop(into)] email: Signal<String>,
    /// The other sessions have ended.
    #[prop(into)]
    on_done: Callback<()>,
) -> impl IntoView {
    let session = expect_context::<Session>();
    let messages = expect_context::<Messages>();
    let form = FormState::new::<ChangePassword>(&["current_password", "new_password"]);
    let change = move |change: ChangePassword| async move {
        api::change_password(session, &change).await?;
        form.reset();
        // The page that it has changed may have gone meanwhile.
        let _ = on_done.try_run(());
        messages.say(
            messages::Kind::Success,
            "Your password has been changed. All your other sessions have ended.",
        );
        Ok(())
    };
    view! {
        <FormFrame form testid="password-form" submit="Change the password" send=form.sender(change)>
            // Tells a password manager whose password this is.
            <input type="email" autocomplete="username" readonly hidden prop:value=email />
            <TextField
                form
                name="current_password"
                label="Current password"
                kind=Kind::Password
                autocomplete="current-password"
            />
            <TextField
                form
                name="new_password"
                label="New password"
                kind=Kind::Password
                autocomplete="new-password"
                hint=password_hint()
                strength=true
            />
        </FormFrame>
    }
}
