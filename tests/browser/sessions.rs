//! Who is signed in: over reloads, over tabs, and from elsewhere.

use std::time::Duration;

use serde_json::json;
use tests::{PASSWORD, browser::visit};

/// Longer than an access token is good for.
const A_WHILE: Duration = Duration::from_mins(20);

#[tokio::test]
async fn a_reload_keeps_the_sign_in() {
    visit("a_reload_keeps_the_sign_in", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        for _ in 0..3 {
            page.sees("michael@example.com").await;
            page.is_at("/status").await;
            page.reload().await;
        }
        page.sees("michael@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn no_script_can_read_a_token() {
    visit("no_script_reads_a_token", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let kept = page
            .run("return JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
            .await;
        let kept = kept.as_str().unwrap();
        for mark in ["eyJ", contract::REFRESH_TOKEN_PREFIX] {
            assert!(!kept.contains(mark), "{kept}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_tabs_share_the_sign_in_and_the_sign_out() {
    visit("two_tabs", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let (first, second) = page.second_tab().await;
        page.switch_to(&second).await;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        page.switch_to(&first).await;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        page.click("[data-testid=nav-logout]").await;
        page.shows("[data-testid=nav-login]").await;
        page.switch_to(&second).await;
        page.shows("[data-testid=nav-login]").await;
        page.sees_no("michael@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn two_tabs_that_are_reloaded_at_once_stay_signed_in() {
    visit("two_tabs_reloaded", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        let (first, second) = page.second_tab().await;
        page.switch_to(&second).await;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        for _ in 0..3 {
            page.run("setTimeout(() => location.reload(), 50)").await;
            page.switch_to(&first).await;
            page.reload().await;
            page.sees("michael@example.com").await;
            page.switch_to(&second).await;
            page.sees("michael@example.com").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_that_expires_in_the_middle_of_an_action_is_renewed() {
    visit("expires_midway", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.click("[data-testid=profile] ~ .actions [data-testid=edit]").await;
        page.fill("username", "mike").await;
        let refreshed = page.requests_to("/auth/refresh").await;
        page.let_pass(A_WHILE).await;
        page.click("[data-testid=user-form] [data-testid=submit]").await;
        page.sees("User updated.").await;
        page.sees("mike").await;
        page.is_at("/status").await;
        assert_eq!(page.requests_to("/auth/refresh").await, refreshed + 1);
    })
    .await;
}

#[tokio::test]
async fn one_tab_renews_the_token_for_both() {
    visit("one_refresh", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        let (first, second) = page.second_tab().await;
        page.switch_to(&second).await;
        page.open("/about").await;
        page.shows("[data-testid=nav-logout]").await;
        let mut refreshed = 0;
        for tab in [&first, &second] {
            page.switch_to(tab).await;
            refreshed += page.requests_to("/auth/refresh").await;
            page.let_pass(A_WHILE).await;
        }
        // The first to need a token gets it, and tells the other.
        for tab in [&first, &second] {
            page.switch_to(tab).await;
            page.follow("Users").await;
            page.follow("User status").await;
            page.sees("michael@example.com").await;
            page.shows("[data-testid=sessions] li").await;
        }
        let mut now = 0;
        for tab in [&first, &second] {
            page.switch_to(tab).await;
            now += page.requests_to("/auth/refresh").await;
        }
        assert_eq!(now, refreshed + 1);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ends_during_an_action_says_so_once_and_leads_back() {
    visit("ends_midway", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.shows("[data-testid=sessions] li").await;
        visit.execute("DELETE FROM sessions").await;
        page.fill("current_password", PASSWORD).await;
        page.fill("new_password", "another good password").await;
        page.follow("Change the password").await;
        page.is_at("/login").await;
        page.sees("Your session has ended. Please log in again.").await;
        assert_eq!(page.count("[data-testid=message]").await, 1);
        page.fill("email", "michael@example.com").await;
        page.fill("password", PASSWORD).await;
        page.follow("Log in").await;
        page.is_at("/status").await;
        page.sees("michael@example.com").await;
    })
    .await;
}

#[tokio::test]
async fn another_session_can_be_ended() {
    visit("another_session", |visit| async move {
        visit.register("michael").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let login = visit.api.post("/auth/login").header("user-agent", "curl/8.9.1");
        let tokens = login.json(body).await.ok(200);
        let other = tokens["access_token"].as_str().unwrap();
        visit.sign_in("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.sees("curl").await;
        page.sees("this one").await;
        page.click("[aria-label='Log out curl']").await;
        page.sees("That session has ended.").await;
        visit.api.get("/auth/status").bearer(other).await.problem(401, "token_invalid");
        page.shows("[data-testid=nav-logout]").await;
    })
    .await;
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_leads_to_the_sign_in() {
    visit("ended_elsewhere", |visit| async move {
        visit.arrive("michael").await;
        let page = &visit.page;
        page.open("/status").await;
        page.sees("michael@example.com").await;
        visit.execute("DELETE FROM sessions").await;
        page.reload().await;
        page.sees("Your session has ended. Please log in again.").await;
        page.is_at("/login").await;
        page.hides("[data-testid=nav-logout]").await;
    })
    .await;
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_sessions() {
    visit("everywhere", |visit| async move {
        visit.register("michael").await;
        let body = json!({"email": "michael@example.com", "password": PASSWORD});
        let tokens = visit.api.post("/auth/login").json(body).await.ok(200);
        let other = tokens["access_token"].as_str().unwrap();
        visit.sign_in("michael").await;
        visit.page.open("/status").await;
        visit.page.click("[data-testid=logout-everywhere]").await;
        visit.page.shows("[data-testid=nav-login]").await;
        visit.api.get("/auth/status").bearer(other).await.problem(401, "token_invalid");
    })
    .await;
}
