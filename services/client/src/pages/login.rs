//! `/login`: sign in.

use leptos::prelude::*;

use crate::{
    components::Page,
    forms::{FormFrame, FormState, Kind, TextField},
    session::Session,
};

/// The address that somebody has just registered with: it need not be typed again.
#[derive(Clone, Copy)]
pub(crate) struct NewcomersEmail(StoredValue<String>);

impl NewcomersEmail {
    pub(crate) fn new() -> Self {
        Self(StoredValue::default())
    }

    pub(crate) fn set(self, email: String) {
        self.0.set_value(email);
    }

    fn take(self) -> String {
        let email = self.0.get_value();
        self.0.set_value(String::new());
        email
    }
}

#[component]
pub(crate) fn Login() -> impl IntoView {
    let session = expect_context::<Session>();
    let email = expect_context::<NewcomersEmail>().take();
    let form = FormState::new::<contract::Login>(&["email", "password"]).with("email", &email);
    let sign_in = move |login: contract::Login| async move { session.sign_in(&login).await };
    view! {
        <Page title="Log in">
            <div class="card">
                <FormFrame form testid="login-form" submit="Log in" send=form.sender(sign_in)>
                    <TextField
                        form
                        name="email"
                        label="Email"
                        kind=Kind::Email
                        autocomplete="username"
                    />
                    <TextField
                        form
                        name="password"
                        label="Password"
                        kind=Kind::Password
                        autocomplete="current-password"
                    />
                </FormFrame>
            </div>
            <p>"No account yet? " <a href="/register">"Register"</a></p>
        </Page>
    }
}
