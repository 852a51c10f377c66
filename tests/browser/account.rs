//! Signing up, in and out, and the own account.

use tests::{PASSWORD, browser::visit};

#[tokio::test]
async fn a_person_signs_up_in_and_out() {
    visit("signs_up_in_and_out", |visit| async move {
        let page = &visit.page;
        page.open("/").await;
        page.follow("Register").await;
        page.is_at("/register").await;
        page.fill("username", "michael").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.follow("Register").await;
        page.sees("You have registered successfully.").await;
        page.is_at("/login").await;
        assert_eq!(page.value("email").await, "michael@example.com", "not to be typed again");
        page.fill("password", PASSWORD).await;
        page.follow("Log in").await;
        page.sees("You have logged in successfully.").await;
        page.is_at("/").await;
        page.hides("[data-testid=nav-login]").await;
        page.hides("[data-testid=nav-register]").await;
        page.follow("User status").await;
        page.sees("michael@example.com").await;
        page.click("[data-testid=nav-logout]").await;
        page.sees("You have logged out.").await;
        page.shows("[data-testid=nav-login]").await;
        page.hides("[data-testid=nav-status]").await;
    })
    .await;
}

#[tokio::test]
async fn a_person_sees_the_own_account() {
    visit("own_account", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        page.shows("[data-testid=profile]").await;
        assert_eq!(page.text_of("[data-testid=profile-username]").await, "michael");
        assert_eq!(page.text_of("[data-testid=profile-email]").await, "michael@example.com");
    })
    .await;
}

#[tokio::test]
async fn a_person_changes_the_password() {
    visit("changes_the_password", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.follow("User status").await;
        page.fill("current_password", "not the password").await;
        page.fill("new_password", "paper river candle").await;
        page.follow("Change the password").await;
        page.shows("#current_password[aria-invalid=true], [data-testid=form-problem]:not(:empty)")
            .await;
        assert_eq!(page.value("new_password").await, "paper river candle", "what was typed stays");
        page.fill("current_password", PASSWORD).await;
        page.follow("Change the password").await;
        page.sees("Your password has been changed.").await;
        page.click("[data-testid=nav-logout]").await;
        page.open("/login").await;
        page.fill("email", "michael@example.com").await;
        page.fill("password", "paper river candle").await;
        page.follow("Log in").await;
        page.shows("[data-testid=nav-logout]").await;
    })
    .await;
}

#[tokio::test]
async fn a_person_removes_the_own_account() {
    visit("removes_the_own_account", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.click("[data-testid=remove]").await;
        page.shows("[data-testid=dialog]").await;
        page.click("[data-testid=confirm-remove]").await;
        page.sees("Your account was removed.").await;
        page.shows("[data-testid=nav-login]").await;
        assert_eq!(visit.api.get("/users").await.ok(200), serde_json::json!([]));
    })
    .await;
}
