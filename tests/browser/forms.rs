//! Forms and what people type wrong.

use tests::{PASSWORD, browser::visit};
use thirtyfour::Key;

#[tokio::test]
async fn faults_show_beside_their_fields_before_anything_is_sent() {
    visit("faults_beside_fields", |visit| async move {
        let page = &visit.page;
        page.open("/register").await;
        page.click("[data-testid=submit]").await;
        for field in ["username", "email", "password"] {
            page.shows(&format!("#{field}[aria-invalid=true]")).await;
            assert!(!page.text_of(&format!("#{field}-error")).await.is_empty(), "{field}");
            let described = page.attribute(&format!("#{field}"), "aria-describedby").await.unwrap();
            assert!(described.contains(&format!("{field}-error")), "{described}");
        }
        let focused = page.run("return document.activeElement.id").await;
        assert_eq!(focused, "username", "the first fault has the focus");
        assert_eq!(page.requests_to("/auth/register").await, 0);
    })
    .await;
}

#[tokio::test]
async fn a_fault_shows_when_the_field_is_left_and_goes_while_it_is_mended() {
    visit("a_fault_goes_while_mended", |visit| async move {
        let page = &visit.page;
        page.open("/register").await;
        page.fill("password", "short").await;
        page.hides("#password[aria-invalid=true]").await;
        page.press("password", Key::Tab).await;
        page.shows("#password[aria-invalid=true]").await;
        page.sees("Password must have at least 12 characters.").await;
        page.fill("password", PASSWORD).await;
        page.shows("#password[aria-invalid=false]").await;
        page.sees_no("Password must have at least 12 characters.").await;
    })
    .await;
}

#[tokio::test]
async fn what_the_server_refuses_shows_beside_its_field_too() {
    visit("server_errors_beside_fields", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/register").await;
        page.fill("username", "another").await;
        page.fill("email", "MICHAEL@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        page.shows("#email[aria-invalid=true]").await;
        assert_eq!(page.text_of("#email-error").await, "Sorry. That email already exists.");
        assert_eq!(page.value("username").await, "another", "what was typed stays");
        page.fill("email", "another@example.com").await;
        page.click("[data-testid=submit]").await;
        page.sees("You have registered successfully.").await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_the_address_stays() {
    visit("a_wrong_password", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/login").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", "not the password").await;
        page.press("password", Key::Enter).await;
        page.sees("Incorrect email and/or password.").await;
        assert_eq!(page.value("email").await, "michael@example.com");
        page.is_at("/login").await;
    })
    .await;
}

#[tokio::test]
async fn a_double_click_sends_once() {
    visit("a_double_click", |visit| async move {
        let page = &visit.page;
        page.open("/register").await;
        page.fill("username", "michael").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.double_click("[data-testid=submit]").await;
        page.sees("You have registered successfully.").await;
        assert_eq!(page.requests_to("/auth/register").await, 1);
        page.sees_no("already exists").await;
    })
    .await;
}

#[tokio::test]
async fn password_managers_know_the_fields() {
    visit("password_managers", |visit| async move {
        let page = &visit.page;
        for (path, field, token) in [
            ("/login", "password", "current-password"),
            ("/login", "email", "username"),
            ("/register", "password", "new-password"),
        ] {
            page.open(path).await;
            let found = page.attribute(&format!("#{field}"), "autocomplete").await;
            assert_eq!(found.as_deref(), Some(token), "{path} {field}");
            page.shows(&format!("label[for={field}]")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_not_shown_beside_what_was_typed_since() {
    visit("refused_meanwhile", |visit| async move {
        visit.register("michael").await;
        let page = &visit.page;
        page.open("/register").await;
        page.shows("[data-testid=register-form]").await;
        page.hold().await;
        page.fill("username", "another").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.click("[data-testid=submit]").await;
        page.sees("One moment…").await;
        page.fill("email", "another@example.com").await;
        page.let_go().await;
        page.shows("[data-testid=form-problem]:not(:empty)").await;
        page.sees("Sorry. That email already exists.").await;
        page.hides("#email[aria-invalid=true]").await;
        assert_eq!(page.text_of("#email-error").await, "");
    })
    .await;
}

#[tokio::test]
async fn a_password_can_be_shown_and_pasted() {
    visit("show_and_paste", |visit| async move {
        let page = &visit.page;
        page.open("/login").await;
        page.fill("password", PASSWORD).await;
        for (kind, action) in [("password", "Show"), ("text", "Hide"), ("password", "Show")] {
            page.shows(&format!("#password[type={kind}]")).await;
            page.click(&format!("[aria-label='{action} password'][aria-controls=password]")).await;
        }
        page.shows("#password[type=text]").await;
        assert_eq!(page.value("password").await, PASSWORD);
        // Control and A, X, and V twice.
        page.press("password", "\u{e009}a").await;
        page.press("password", "\u{e009}x").await;
        assert_eq!(page.value("password").await, "");
        page.press("password", "\u{e009}vv").await;
        assert_eq!(page.value("password").await, PASSWORD.repeat(2));
    })
    .await;
}
