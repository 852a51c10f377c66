//! `/register`: sign up.

use contract::Registration;
use leptos::prelude::*;

use super::NewcomersEmail;
use crate::{
    api,
    components::{Page, password_hint, username_hint},
    forms::{FormFrame, FormState, Kind, TextField},
    messages::{self, Messages},
    router::Router,
};

#[component]
pub(crate) fn Register() -> impl IntoView {
    let messages = expect_context::<Messages>();
    let newcomer = expect_context::<NewcomersEmail>();
    let router = expect_context::<Router>();
    let form = FormState::new::<Registration>(&["username", "email", "password"]);
    let register = move |registration: Registration| async move {
        api::register(&registration).await?;
        newcomer.set(registration.email.into());
        let done = "You have registered successfully.";
        if untrack(|| router.path()) == "/register" {
            messages.carry(messages::Kind::Success, done);
            router.go("/login");
        } else {
            messages.say(messages::Kind::Success, done);
        }
        Ok(())
    };
    view! {
        <Page title="Register">
            <div class="card">
                <FormFrame form testid="register-form" submit="Register" send=form.sender(register)>
                    <TextField
                        form
                        name="username"
                        label="Username"
                        kind=Kind::Text
                        autocomplete="nickname"
                        hint=username_hint()
                    />
                    // The address is what people sign in with.
                    <TextField
                        form
                        name="email"
                        label="Email"
                        kind=Kind::Email
                        autocomplete="username"
                        hint="You will log in with it. Other users cannot see it."
                    />
                    <TextField
                        form
                        name="password"
                        label="Password"
                        kind=Kind::Password
                        autocomplete="new-password"
                        hint=password_hint()
                        strength=true
                    />
                </FormFrame>
            </div>
            <p>"Registered already? " <a href="/login">"Log in"</a></p>
        </Page>
    }
}
